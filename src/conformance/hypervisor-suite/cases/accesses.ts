/**
 * Cases of single accesses: every size and alignment is one request with exactly that address, size
 * and value. Only an access over the end of a page may be split.
 *
 * Called by: suite.ts.
 */

import type { AccessSize, MmioAccessSize } from '../../../io-request/io-request.js';
import { check, equal } from '../check.js';
import { TestedVm } from '../tested-vm.js';
import { cut, hex, MMIO, play, REPORT_PORT, withUpperBitsSet, type Act, type CaseDefinition } from './case.js';

const PORT_SIZES = [1, 2, 4] as const;
const MMIO_SIZES = [1, 2, 4, 8] as const;
/** All bytes differ. The top bit of each is set, or clear: a wrong extension of the sign shows. */
const STORED = 0x8192_a3b4_c5d6_e7f8n;
const LOADED = 0x7061_5243_3425_1607n;
const TOP_BITS = 0x8080_8080_8080_8080n;
/** Behind the last port. */
const PORTS_END = 0x1_0000;
const FOUR_GIB = 0x1_0000_0000;
const PAGE = 0x1000;
const ROUNDS = 1000;

// The values of access `index`. Any two differ, and every second one has the other top bits.
const topBits = (index: number): bigint => (index % 2 === 0 ? 0n : TOP_BITS);
const stored = (index: number): bigint => (STORED - BigInt(index)) ^ topBits(index);
const loaded = (index: number): bigint => (LOADED + BigInt(index) * 0x0101_0101_0101_0101n) ^ topBits(index);

/** An `out` to each port and an `in` from it, whose value the guest reports. */
function portActs(ports: readonly number[], size: AccessSize): Act[] {
  return ports.flatMap((port, index): Act[] => [
    {
      steps: [{ op: 'out', port, size, value: Number(cut(stored(index), 4)) }],
      requests: [[`out ${hex(port)}/${size} = ${hex(cut(stored(index), size))}`]],
    },
    {
      steps: [
        { op: 'in', port, size },
        { op: 'out', port: REPORT_PORT, size: 4, value: { read: index } },
      ],
      requests: [
        [`in ${hex(port)}/${size}`, withUpperBitsSet(loaded(index), size)],
        [`out ${hex(REPORT_PORT)}/4 = ${hex(cut(loaded(index), size))}`],
      ],
    },
  ]);
}

/** A store to each address, and a load whose value the guest reports: two acts an address. */
function memoryActs(addresses: readonly number[], size: MmioAccessSize): Act[] {
  return addresses.flatMap((address, index): Act[] => {
    const value = stored(index);
    return [
      {
        steps: [{ op: 'store', address, size, value: size === 8 ? value : Number(cut(value, 4)) }],
        requests: [[`store ${hex(address)}/${size} = ${hex(cut(value, size))}`]],
      },
      {
        steps: [
          { op: 'load', address, size },
          // What an 8-byte load reads does not fit into a port.
          size === 8
            ? { op: 'store', address: MMIO, size, value: { read: index } }
            : { op: 'out', port: REPORT_PORT, size: 4, value: { read: index } },
        ],
        requests: [
          [`load ${hex(address)}/${size}`, withUpperBitsSet(loaded(index), size)],
          [
            size === 8
              ? `store ${hex(MMIO)}/8 = ${hex(cut(loaded(index), 8))}`
              : `out ${hex(REPORT_PORT)}/4 = ${hex(cut(loaded(index), size))}`,
          ],
        ],
      },
    ];
  });
}

/** `count` neighbouring addresses, so every alignment. */
const offsets = (base: number, count: number): number[] => Array.from({ length: count }, (_, index) => base + index);

/**
 * An access over a page's end is one request, or its parts in ascending order: processors differ
 * there.
 */
async function crossPage(
  tested: TestedVm,
  name: 'load' | 'store',
  address: number,
  size: number,
  value: bigint,
): Promise<void> {
  for (let done = 0; done < size;) {
    const text = await tested.request();
    const slot = tested.slot();
    const part = slot.sizeLow;
    check(part >= 1 && part <= size - done, `${text}: more than the ${size - done} bytes that are left`);
    const partValue = cut(value >> BigInt(8 * done), part);
    const end = name === 'load' ? '' : ` = ${hex(partValue)}`;
    equal(text, `${name} ${hex(address + done)}/${part}${end}`, 'a part of the access');
    tested.finish(0, withUpperBitsSet(partValue, part));
    done += part;
  }
}

export const ACCESS_CASES: readonly CaseDefinition[] = [
  ...PORT_SIZES.map((size): CaseDefinition => ({
    name: `port accesses of ${size} bytes, aligned or not, are one request each`,
    run: (under) => play(under, portActs([0, ...offsets(0x510, 8), PORTS_END - size], size)),
  })),
  ...MMIO_SIZES.flatMap((size): CaseDefinition[] => [
    {
      name: `stores of ${size} bytes, aligned or not, are one request each`,
      run: (under) =>
        play(under, onlyFirstOfTwo(memoryActs([...offsets(MMIO, 9), MMIO + PAGE - size, FOUR_GIB - size], size))),
    },
    {
      name: `loads of ${size} bytes, aligned or not, are one request each`,
      run: (under) => play(under, memoryActs([...offsets(MMIO, 9), MMIO + PAGE - size, FOUR_GIB - size], size)),
    },
    {
      name: `accesses of ${size} bytes above 4 GiB keep the upper word of their address`,
      run: (under) => play(under, memoryActs([FOUR_GIB, 0x12_3456_7890, 2 ** 39 - size], size)),
    },
  ]),
  ...([2, 4] as const).map((size): CaseDefinition => ({
    name: `an access of ${size} bytes over the end of a page is a request or its parts in order`,
    run: (under) => {
      const addresses = offsets(MMIO + PAGE - size + 1, size - 1);
      const steps = addresses.flatMap(
        (address, index) =>
          [
            { op: 'store', address, size, value: Number(cut(STORED, 4)) },
            { op: 'load', address, size },
            { op: 'out', port: REPORT_PORT, size: 4, value: { read: index } },
          ] as const,
      );
      return TestedVm.run(under, [{ steps }], async (tested) => {
        tested.start();
        for (const address of addresses) {
          await crossPage(tested, 'store', address, size, cut(STORED, size));
          await crossPage(tested, 'load', address, size, cut(LOADED, size));
          await tested.exchange([[`out ${hex(REPORT_PORT)}/4 = ${hex(cut(LOADED, size))}`]]);
        }
        await tested.halted();
      });
    },
  })),
  ...PORT_SIZES.flatMap((size): CaseDefinition[] => [
    {
      name: `an instruction that adds to ${size} bytes of memory loads them, then stores the sum`,
      run: (under) =>
        play(
          under,
          offsets(MMIO, 4).map((address, index) => ({
            steps: [{ op: 'add', address, size, value: 0x1a }],
            requests: [
              [`load ${hex(address)}/${size}`, withUpperBitsSet(loaded(index), size)],
              [`store ${hex(address)}/${size} = ${hex(cut(loaded(index) + 0x1an, size))}`],
            ],
          })),
        ),
    },
    {
      name: `an instruction that exchanges ${size} bytes of memory loads them, then stores its own`,
      run: (under) =>
        play(
          under,
          offsets(MMIO, 4).map((address, index) => ({
            steps: [
              { op: 'exchange', address, size, value: Number(cut(stored(index), 4)) },
              { op: 'out', port: REPORT_PORT, size: 4, value: { read: index } },
            ],
            requests: [
              [`load ${hex(address)}/${size}`, withUpperBitsSet(loaded(index), size)],
              [`store ${hex(address)}/${size} = ${hex(cut(stored(index), size))}`],
              [`out ${hex(REPORT_PORT)}/4 = ${hex(cut(loaded(index), size))}`],
            ],
          })),
        ),
    },
  ]),
  {
    name: `${ROUNDS} accesses in a row come in order, none lost and none twice`,
    run: (under) =>
      TestedVm.run(
        under,
        [
          {
            steps: [
              { op: 'in', port: 0x510, size: 4 },
              { op: 'out', port: REPORT_PORT, size: 4, value: { read: 0 } },
            ],
            forever: true,
          },
        ],
        async (tested) => {
          tested.start();
          for (let round = 0; round < ROUNDS; round++)
            await tested.exchange([['in 0x510/4', round], [`out ${hex(REPORT_PORT)}/4 = ${hex(round)}`]]);
          equal(await tested.request(), 'in 0x510/4', 'the request after the last');
        },
      ),
  },
];

/** The stores of acts that come in pairs, a store and a load. */
function onlyFirstOfTwo(acts: readonly Act[]): Act[] {
  return acts.filter((_, index) => index % 2 === 0);
}
