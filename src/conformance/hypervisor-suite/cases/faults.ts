/**
 * Cases of accesses that do not become a request: the hypervisor answers them itself, or the guest
 * gets a #GP.
 *
 * Called by: suite.ts.
 *
 * In the lists of requests, each stands with the answer that it gets, or alone if the guest does
 * not use the answer.
 */

import { Direction, IoRequestType } from '../../../io-request/layout.js';
import { IoRequestState } from '../../../io-request/state.js';
import { hypervisorFor } from '../capability.js';
import { CannotDo, check, until } from '../check.js';
import type { GuestStep } from '../guest-program.js';
import { TestedVm } from '../tested-vm.js';
import { hex, MMIO, play, REPORT_PORT, type CaseDefinition } from './case.js';

const { FREE, PENDING } = IoRequestState;
const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
/** Where a hypervisor with `interceptPci` has configuration space in memory, as in ACRN. */
const ECAM = 0xe000_0000;
/** A value of CONFIG_ADDRESS: bus 0, device 3, register 0x10. */
const REGISTER = 0x8000_1810;
const ALL_ONES = 0xffff_ffff;

const report = (read: number): GuestStep => ({ op: 'out', port: REPORT_PORT, size: 4, value: { read } });
const reported = (value: number): string => `out ${hex(REPORT_PORT)}/4 = ${hex(value)}`;

export const FAULT_CASES: readonly CaseDefinition[] = [
  {
    name: 'an access while the slot is not FREE is a #GP for the guest, and leaves the slot alone',
    run: (under) => {
      const steps: GuestStep[] = [
        { op: 'out', port: REPORT_PORT, size: 1, value: 'faults' },
        { op: 'wait', line: 5 },
        { op: 'in', port: 0x560, size: 1 },
        { op: 'out', port: 0x561, size: 2, value: 1 },
        { op: 'load', address: MMIO, size: 4 },
        { op: 'store', address: MMIO, size: 1, value: 2 },
        { op: 'wait', line: 10 },
        { op: 'out', port: REPORT_PORT, size: 1, value: 'faults' },
      ];
      return TestedVm.run(under, [{ steps }], async (tested) => {
        tested.start();
        await tested.exchange([[`out ${hex(REPORT_PORT)}/1 = 0x0`]]);
        await tested.stays(FREE, 'while the guest is halted');
        const slot = tested.slot();
        // A byte 0x45 to port 0x123, without polling: a request of another writer.
        check(slot.fill(IoRequestType.PORT, Direction.WRITE, 0x123, 0, 1, 0x45, 0, false), 'the slot is not FREE');
        tested.raise(5);
        await until(() => tested.vm.shared.counters(0).failed >= 4, 'four accesses that fail', tested.limitMs);
        await tested.stays(PENDING, 'that the guest could not have');
        slot.stampFree();
        tested.raise(10);
        await tested.exchange([[`out ${hex(REPORT_PORT)}/1 = 0x4`]]);
        await tested.halted();
      });
    },
  },
  {
    name: 'with PCI interception the hypervisor answers what ACRN answers, and forwards the rest',
    run: (under) =>
      play(
        under,
        [
          {
            steps: [
              { op: 'out', port: CONFIG_ADDRESS, size: 4, value: REGISTER },
              { op: 'in', port: CONFIG_ADDRESS, size: 4 },
              report(0),
            ],
            requests: [[`out 0xcf8/4 = ${hex(REGISTER)}`], [reported(REGISTER)]],
          },
          {
            // The address register opens the data port for one access.
            steps: [
              { op: 'in', port: CONFIG_DATA, size: 4 },
              report(1),
              { op: 'in', port: CONFIG_DATA, size: 4 },
              report(2),
            ],
            requests: [['in 0xcfc/4', 0x1111_2222], [reported(0x1111_2222)], [reported(ALL_ONES)]],
          },
          {
            steps: [
              { op: 'load', address: ECAM + 4, size: 4 },
              report(3),
              { op: 'load', address: ECAM + 5, size: 4 },
              report(4),
              { op: 'store', address: ECAM + 7, size: 2, value: 1 },
            ],
            requests: [[`load ${hex(ECAM + 4)}/4`, 0x55], [reported(0x55)], [reported(ALL_ONES)]],
          },
        ],
        { interceptPci: true },
      ),
  },
  {
    name: 'an access that leaves a range of the hypervisor is a #GP for the guest',
    run: (under) =>
      play(
        under,
        [
          {
            steps: [
              { op: 'load', address: ECAM - 2, size: 4 },
              { op: 'store', address: ECAM - 1, size: 2, value: 7 },
              { op: 'out', port: REPORT_PORT, size: 1, value: 'faults' },
            ],
            requests: [[`out ${hex(REPORT_PORT)}/1 = 0x2`]],
          },
        ],
        { interceptPci: true },
      ),
  },
  {
    name: 'accesses to the ranges that the hypervisor names as its own make no request',
    run: async (under) => {
      const hypervisor = await hypervisorFor(under, [{ steps: [] }]);
      const empty = await TestedVm.create(under, [{ steps: [] }]);
      const ranges = empty.vm.reservedRanges ?? [];
      await empty.close();
      if (ranges.length === 0) throw new CannotDo(`${hypervisor.name} names no ranges of its own`);
      const steps = ranges.flatMap(({ type, start, end }): GuestStep[] =>
        [start, end].map((at) =>
          type === 'port' ? { op: 'in', port: at, size: 1 } : { op: 'load', address: at, size: 1 },
        ),
      );
      await play(under, [{ steps, requests: [] }]);
    },
  },
];
