/**
 * Cases of the life cycle: which hypercalls each state refuses, and how a vCPU leaves a request
 * that will not be answered.
 *
 * Called by: suite.ts.
 *
 * In the lists of `exchange`, a request stands with the answer that it gets, or alone if the guest
 * does not use the answer.
 */

import { Upcall } from '../../../hypervisor/upcall.js';
import { VcpuState, VmState } from '../../../hypervisor/vm-shared-state.js';
import { Direction, IoRequestType } from '../../../io-request/layout.js';
import { SharedBuffer } from '../../../io-request/shared-buffer.js';
import { IoRequestState } from '../../../io-request/state.js';
import { hypervisorFor, limitOf } from '../capability.js';
import { check, delay, equal, until, within } from '../check.js';
import type { GuestStep } from '../guest-program.js';
import type { HypervisorUnderTest } from '../hypervisor-under-test.js';
import { QUIET_MS, TestedVm } from '../tested-vm.js';
import { hex, REPORT_PORT, type CaseDefinition } from './case.js';

const { FREE, PENDING, PROCESSING } = IoRequestState;
const READ: readonly GuestStep[] = [
  { op: 'in', port: 0x550, size: 1 },
  { op: 'out', port: REPORT_PORT, size: 1, value: { read: 0 } },
];
const REQUEST = 'in 0x550/1';
const MEMORY_BYTES = 1 << 20;
const HOSTILE_WRITES = 20;
const reported = (value: number): string => `out ${hex(REPORT_PORT)}/1 = ${hex(value)}`;

/** Runs `work` with a VM whose guest has just made its first request, which is PENDING. */
function inRequest(under: HypervisorUnderTest, work: (tested: TestedVm) => Promise<void>): Promise<void> {
  return TestedVm.run(under, [{ steps: READ }], async (tested) => {
    tested.start();
    equal(await tested.request(), REQUEST, 'request');
    await work(tested);
  });
}

/** After a reset: the guest runs from its beginning, and nothing of the time before is left. */
async function runsAgain(tested: TestedVm, value: number): Promise<void> {
  equal(tested.vm.shared.vmState, VmState.CREATED, 'the state after a reset');
  for (const slot of tested.buffer.slots) equal(slot.state, FREE, `slot ${slot.vcpu} after a reset`);
  tested.start();
  await tested.exchange([[REQUEST, value], [reported(value)]]);
  await tested.halted();
}

/** Resolves when vCPU 0 has parked. */
async function parked(tested: TestedVm): Promise<void> {
  await until(() => tested.vm.shared.vcpuState(0) === VcpuState.INIT, 'the vCPU parks', tested.limitMs);
}

export const LIFE_CYCLE_CASES: readonly CaseDefinition[] = [
  {
    name: 'hypercalls are refused in the states that ACRN refuses them in',
    run: (under) =>
      TestedVm.run(under, [{ steps: [...READ, { op: 'wait', line: 5 }] }], async (tested) => {
        const { vm } = tested;
        check((await vm.resetVm()) < 0, 'a VM that is CREATED was reset');
        check((await vm.destroyVm()) < 0, 'a VM that is CREATED was destroyed');
        tested.start();
        await tested.request();
        check(vm.startVm() < 0, 'a VM that runs was started');
        check(vm.setIoreqBuffer() < 0, 'the page of a VM that runs was set');
        check((await vm.resetVm()) < 0, 'a VM that runs was reset');
        check((await vm.destroyVm()) < 0, 'a VM that runs was destroyed');
        equal(tested.slot().state, PENDING, 'the slot after refused hypercalls');
        await tested.pause();
        check(vm.startVm() < 0, 'a VM that is paused was started');
        await tested.pause();
        await tested.destroy();
        check((await vm.pauseVm()) < 0, 'a VM that is destroyed was paused');
        check((await vm.resetVm()) < 0, 'a VM that is destroyed was reset');
        check((await vm.destroyVm()) < 0, 'a VM that is destroyed was destroyed again');
        check(vm.notifyRequestFinish(0) < 0, 'a completion for a VM that is destroyed was accepted');
      }),
  },
  {
    name: 'a VM whose page was never set is not started',
    run: async (under) => {
      const hypervisor = await hypervisorFor(under, [{ steps: READ }]);
      const config = { name: 'tested', memoryBytes: MEMORY_BYTES, vcpuCount: 1, completionPolling: false };
      const vm = await hypervisor.createVm(config, new SharedBuffer(), new Upcall(), () => undefined);
      const result = vm.startVm();
      await within(vm.pauseVm(), 'pauseVm', limitOf(under));
      await within(vm.destroyVm(), 'destroyVm', limitOf(under));
      check(result < 0, 'a VM whose page was never set was started');
    },
  },
  {
    name: 'the page of a VM that is CREATED may be set again, which starts nothing',
    run: (under) =>
      TestedVm.run(under, [{ steps: READ }], async (tested) => {
        equal(tested.vm.setIoreqBuffer(), 0, 'setIoreqBuffer of a VM that is CREATED, again');
        await delay(QUIET_MS);
        equal(tested.slot().state, FREE, 'the slot of a VM that was not started');
      }),
  },
  {
    name: 'a reset while a request is PENDING withdraws it, and the guest begins again',
    run: (under) =>
      inRequest(under, async (tested) => {
        await tested.pause();
        equal(tested.slot().state, PENDING, 'the slot of a paused VM');
        await tested.reset();
        await runsAgain(tested, 0x21);
      }),
  },
  {
    name: 'a reset while a request is PROCESSING withdraws it, and a late completion is refused',
    run: (under) =>
      inRequest(under, async (tested) => {
        tested.assign();
        await tested.pause();
        await tested.reset();
        check(!tested.slot().complete(), 'the old request could be completed after the reset');
        tested.vm.notifyRequestFinish(0);
        await delay(QUIET_MS);
        equal(tested.slot().state, FREE, 'the slot after a late hypercall');
        await runsAgain(tested, 0x22);
      }),
  },
  {
    name: 'a reset comes to its end although the page says again that a request is pending',
    run: (under) =>
      inRequest(under, async (tested) => {
        await tested.pause();
        const reset = tested.reset();
        // Another process with the page may write this during the reset.
        for (let write = 0; write < HOSTILE_WRITES; write++) {
          tested.slot().fill(IoRequestType.PORT, Direction.READ, 0x550, 0, 1, 0, 0, false);
          await delay(0);
        }
        await reset;
        tested.slot().stampFree();
        await runsAgain(tested, 0x24);
      }),
  },
  {
    name: 'a request that is completed while its VM is paused frees the slot, and the guest gets no value',
    run: (under) =>
      inRequest(under, async (tested) => {
        await tested.pause();
        tested.finish(0, 0x33);
        await until(() => tested.slot().state === FREE, 'FREE after COMPLETE in a paused VM', tested.limitMs);
        await parked(tested);
        await delay(QUIET_MS);
        equal(tested.slot().state, FREE, 'the slot of a paused VM');
        await tested.reset();
        await runsAgain(tested, 0x23);
      }),
  },
  {
    name: 'a VM is destroyed while a request is PENDING',
    run: (under) =>
      inRequest(under, async (tested) => {
        await tested.pause();
        await tested.destroy();
      }),
  },
  {
    name: 'a VM is destroyed while a request is PROCESSING',
    run: (under) =>
      inRequest(under, async (tested) => {
        tested.assign();
        await tested.pause();
        await tested.destroy();
        equal(tested.slot().state, PROCESSING, 'the slot of a destroyed VM');
      }),
  },
  {
    name: 'a reset while the guest is halted starts it again from its beginning',
    run: (under) =>
      TestedVm.run(under, [{ steps: [...READ, { op: 'wait', line: 5 }, ...READ] }], async (tested) => {
        tested.start();
        await tested.exchange([[REQUEST, 6], [reported(6)]]);
        await tested.stays(FREE, 'while the guest is halted');
        await tested.pause();
        await tested.reset();
        tested.start();
        await tested.exchange([[REQUEST, 6], [reported(6)]]);
        await tested.stays(FREE, 'after the reset of a halted guest');
        tested.raise(5);
        // The report is of the first read.
        await tested.exchange([[REQUEST, 7], [reported(6)]]);
        await tested.halted();
      }),
  },
  {
    name: 'a guest that never halts is paused, reset and started, again and again',
    run: (under) =>
      TestedVm.run(under, [{ steps: READ, forever: true }], async (tested) => {
        for (let round = 0; round < 5; round++) {
          tested.start();
          for (let value = 0; value < 20; value++) await tested.exchange([[REQUEST, value], [reported(value)]]);
          await tested.pause();
          await tested.reset();
          equal(tested.slot().state, FREE, 'the slot after a reset');
        }
      }),
  },
  {
    name: 'a guest that ends is one event, and a reset starts it again',
    run: (under) =>
      TestedVm.run(under, [{ steps: READ }], async (tested) => {
        tested.start();
        await tested.exchange([[REQUEST, 1], [reported(1)]]);
        await tested.halted();
        await delay(QUIET_MS);
        equal(
          tested.events.map(({ kind, vcpu }) => `${kind} ${vcpu}`),
          ['halted 0'],
          'events',
        );
        await tested.pause();
        await tested.reset();
        await runsAgain(tested, 2);
      }),
  },
  {
    name: 'a guest whose CPU shuts down is one event, and a reset starts it again',
    run: (under) =>
      TestedVm.run(under, [{ steps: [...READ, { op: 'shut-down' }] }], async (tested) => {
        for (let round = 1; round <= 2; round++) {
          tested.start();
          await tested.exchange([[REQUEST, round], [reported(round)]]);
          await until(() => tested.events.length >= round, 'the event of the shutdown', tested.limitMs);
          await delay(QUIET_MS);
          equal(
            tested.events.map(({ kind, vcpu }) => `${kind} ${vcpu}`),
            Array.from({ length: round }, () => 'triple-fault 0'),
            'events',
          );
          await tested.pause();
          await tested.reset();
        }
      }),
  },
];
