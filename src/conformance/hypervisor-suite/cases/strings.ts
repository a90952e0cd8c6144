/**
 * Cases of string instructions: each element is a request of its own, in order.
 *
 * Called by: suite.ts.
 */

import type { AccessSize } from '../../../io-request/io-request.js';
import type { GuestStep } from '../guest-program.js';
import type { Exchange } from '../tested-vm.js';
import { cut, hex, MMIO, play, REPORT_PORT, withUpperBitsSet, type CaseDefinition } from './case.js';

const SIZES = [1, 2, 4] as const;
const PORT = 0x520;
/** Elements of most cases. */
const COUNT = 5;
/** More than a hypervisor runs in one slice. */
const LONG = 600;

/** Element `index`; neighbours differ in each byte. */
const element = (index: number): number => (0x8070_6050 + Math.imul(index, 0x0103_0507)) >>> 0;
const elements = (count: number): number[] => Array.from({ length: count }, (_, index) => element(index));

/** The guest reports the elements that it read, from number 0 on. */
const reportSteps = (count: number): GuestStep[] =>
  elements(count).map((_, index) => ({ op: 'out', port: REPORT_PORT, size: 4, value: { read: index } }));
const reports = (count: number, size: AccessSize): Exchange[] =>
  elements(count).map((value) => [`out ${hex(REPORT_PORT)}/4 = ${hex(cut(value, size))}`]);

function outs(count: number, size: AccessSize): Exchange[] {
  return elements(count).map((value) => [`out ${hex(PORT)}/${size} = ${hex(cut(value, size))}`]);
}

export const STRING_CASES: readonly CaseDefinition[] = [
  ...SIZES.flatMap((size): CaseDefinition[] => [
    {
      name: `a string OUT of ${size}-byte elements writes each in order`,
      run: (under) =>
        play(under, [
          { steps: [{ op: 'outs', port: PORT, size, values: elements(COUNT) }], requests: outs(COUNT, size) },
        ]),
    },
    {
      name: `a string IN of ${size}-byte elements reads each in order`,
      run: (under) =>
        play(under, [
          {
            steps: [{ op: 'ins', port: PORT, size, count: COUNT }, ...reportSteps(COUNT)],
            requests: [
              ...elements(COUNT).map((value): Exchange => [`in ${hex(PORT)}/${size}`, withUpperBitsSet(value, size)]),
              ...reports(COUNT, size),
            ],
          },
        ]),
    },
    {
      name: `a string store of ${size}-byte elements writes each in order, at ascending addresses`,
      run: (under) =>
        play(under, [
          {
            steps: [{ op: 'store-string', address: MMIO, size, values: elements(COUNT) }],
            requests: elements(COUNT).map((value, index) => [
              `store ${hex(MMIO + index * size)}/${size} = ${hex(cut(value, size))}`,
            ]),
          },
        ]),
    },
    {
      name: `a string load of ${size}-byte elements reads each in order, at ascending addresses`,
      run: (under) =>
        play(under, [
          {
            steps: [{ op: 'load-string', address: MMIO, size, count: COUNT }, ...reportSteps(COUNT)],
            requests: [
              ...elements(COUNT).map((value, index): Exchange => [
                `load ${hex(MMIO + index * size)}/${size}`,
                withUpperBitsSet(value, size),
              ]),
              ...reports(COUNT, size),
            ],
          },
        ]),
    },
  ]),
  {
    name: `a string OUT of ${LONG} elements writes each in order`,
    run: (under) =>
      play(under, [{ steps: [{ op: 'outs', port: PORT, size: 2, values: elements(LONG) }], requests: outs(LONG, 2) }]),
  },
  {
    name: 'a string instruction without elements makes no request',
    run: (under) =>
      play(under, [
        {
          steps: [
            { op: 'outs', port: PORT, size: 1, values: [] },
            { op: 'ins', port: PORT, size: 4, count: 0 },
          ],
          requests: [],
        },
      ]),
  },
];
