/**
 * Cases of interrupts: they wake a halted guest, and never change a pending request.
 *
 * Called by: suite.ts.
 *
 * In the lists of `exchange`, a request stands with the answer that it gets, or alone if the guest
 * does not use the answer.
 */

import { IrqLineOperation } from '../../../hypervisor/interrupt-lines.js';
import { IoRequestState } from '../../../io-request/state.js';
import { check, equal } from '../check.js';
import type { GuestStep } from '../guest-program.js';
import { TestedVm } from '../tested-vm.js';
import { hex, REPORT_PORT, type CaseDefinition } from './case.js';

const { PENDING, PROCESSING } = IoRequestState;
const LINE = 5;
const OTHER_LINE = 10;
const ROUNDS = 20;
/** Lines are 0 to 47, or fewer. */
const NO_SUCH_LINE = 48;
/** The HPET's registers. Messages are written to 0xFEExxxxx. */
const NO_APIC = 0xfed0_0000;

const report = (value: number): GuestStep => ({ op: 'out', port: REPORT_PORT, size: 1, value });
const reported = (value: number): string => `out ${hex(REPORT_PORT)}/1 = ${hex(value)}`;
const READ: readonly GuestStep[] = [
  { op: 'in', port: 0x540, size: 4 },
  { op: 'out', port: REPORT_PORT, size: 4, value: { read: 0 } },
];

export const INTERRUPT_CASES: readonly CaseDefinition[] = [
  {
    name: 'a raised line wakes a halted guest, each time',
    run: (under) =>
      TestedVm.run(
        under,
        [
          {
            steps: [report(0), { op: 'wait', line: LINE }, report(1), { op: 'wait', line: OTHER_LINE }, report(2)],
            forever: true,
          },
        ],
        async (tested) => {
          tested.start();
          for (let round = 0; round < ROUNDS; round++) {
            await tested.exchange([[reported(0)]]);
            for (const [line, mark] of [
              [LINE, 1],
              [OTHER_LINE, 2],
            ] as const) {
              if (round === 0) await tested.stays(IoRequestState.FREE, 'before the line is raised');
              tested.raise(line);
              equal(await tested.request(), reported(mark), 'the request after the interrupt');
              tested.lower(line);
              tested.finish();
            }
          }
        },
      ),
  },
  {
    name: 'an interrupt while a request is pending leaves the request, and is taken afterwards',
    run: (under) =>
      TestedVm.run(under, [{ steps: [...READ, { op: 'wait', line: LINE }, report(1)] }], async (tested) => {
        tested.start();
        equal(await tested.request(), 'in 0x540/4', 'request');
        tested.raise(LINE);
        await tested.stays(PENDING, 'after an interrupt while PENDING');
        tested.assign();
        tested.lower(LINE);
        tested.raise(OTHER_LINE);
        tested.lower(OTHER_LINE);
        tested.raise(LINE);
        await tested.stays(PROCESSING, 'after an interrupt while PROCESSING');
        tested.finish(0, 0x8765_4321);
        await tested.exchange([[`out ${hex(REPORT_PORT)}/4 = 0x87654321`], [reported(1)]]);
        await tested.halted();
      }),
  },
  {
    name: 'a pulse while a request is pending is not lost',
    run: (under) =>
      TestedVm.run(
        under,
        [{ steps: [report(0), { op: 'wait', line: LINE }, ...READ, { op: 'wait', line: LINE }, report(1)] }],
        async (tested) => {
          tested.start();
          await tested.exchange([[reported(0)]]);
          equal(tested.vm.setIrqLine(LINE, IrqLineOperation.RAISING_PULSE), 0, 'setIrqLine');
          equal(await tested.request(), 'in 0x540/4', 'request');
          equal(tested.vm.setIrqLine(LINE, IrqLineOperation.RAISING_PULSE), 0, 'setIrqLine');
          tested.finish(0, 1);
          await tested.exchange([[`out ${hex(REPORT_PORT)}/4 = 0x1`], [reported(1)]]);
          await tested.halted();
        },
      ),
  },
  {
    name: 'interrupts between the elements of a string instruction neither lose nor repeat one',
    run: (under) =>
      TestedVm.run(
        under,
        [
          {
            steps: [
              { op: 'outs', port: 0x541, size: 1, values: Array.from({ length: ROUNDS }, (_, index) => index) },
              { op: 'wait', line: LINE },
              report(1),
            ],
          },
        ],
        async (tested) => {
          tested.start();
          for (let index = 0; index < ROUNDS; index++) {
            equal(await tested.request(), `out 0x541/1 = ${hex(index)}`, 'request');
            tested.lower(LINE);
            tested.raise(LINE);
            tested.finish();
          }
          await tested.exchange([[reported(1)]]);
          await tested.halted();
        },
      ),
  },
  {
    name: 'a line that does not exist is refused',
    run: (under) =>
      TestedVm.run(under, [{ steps: [] }], (tested) => {
        const { count } = tested.vm.shared.lines;
        equal(tested.vm.setIrqLine(count - 1, IrqLineOperation.LOW), 0, 'setIrqLine of the last line');
        for (const line of [-1, count, NO_SUCH_LINE])
          check(tested.vm.setIrqLine(line, IrqLineOperation.HIGH) < 0, `line ${line} was accepted`);
        return Promise.resolve();
      }),
  },
  {
    name: 'a message to an address outside of the local APICs is refused',
    run: (under) =>
      TestedVm.run(under, [{ steps: [] }], (tested) => {
        check(tested.vm.injectMsi(NO_APIC, 0x41) < 0, `a message to ${hex(NO_APIC)} was accepted`);
        return Promise.resolve();
      }),
  },
];
