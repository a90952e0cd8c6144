import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MsiDelivery } from './msi-queue.js';
import { HALTED_FOREVER, runVcpu, TripleFault } from './vcpu-loop.js';
import type { HypervisorEvent } from './hypervisor.js';
import { VmSharedState, VmState } from './vm-shared-state.js';

/** A vCPU in this thread; `run` must power its VM off in the end. */
function play(shared: VmSharedState, run: () => number, powerOffAfterFault?: () => boolean): string[] {
  const seen: string[] = [];
  shared.setVmState(VmState.RUNNING);
  runVcpu({
    vcpu: 0,
    shared,
    program: {
      start: () => undefined,
      run,
      message: (kind, vector) => seen.push(`message ${kind} ${vector}`),
    },
    loadRegisters: () => undefined,
    report: (event: HypervisorEvent) => seen.push(event.kind),
    ...(powerOffAfterFault === undefined ? {} : { powerOffAfterFault }),
  });
  return seen;
}

test('messages reach a vCPU between two slices, before it would sleep in a halt', () => {
  const shared = new VmSharedState();
  let slices = 0;
  const seen = play(shared, () => {
    slices++;
    if (slices === 1) {
      shared.msis.post(0, 0x51);
      shared.msis.post(0, MsiDelivery.NMI << 8);
      // Halted forever as far as the program knows. Only the message wakes it.
      return Infinity;
    }
    shared.setVmState(VmState.POWERED_OFF);
    return 0;
  });
  assert.deepEqual(seen, ['message 0 81', 'message 4 0']);
  assert.equal(slices, 2);
});

for (const [isTaken, events] of [
  [true, []],
  [false, ['triple-fault']],
] as const) {
  test(`a triple fault is ${isTaken ? 'no event when the device model powers off' : 'an event otherwise'}`, () => {
    const shared = new VmSharedState();
    const seen = play(
      shared,
      () => {
        // The loop then waits for the VM to stop, which it has.
        shared.setVmState(VmState.POWERED_OFF);
        throw new TripleFault('shut down');
      },
      () => isTaken,
    );
    assert.deepEqual(seen, events);
  });
}

test('a program that halts forever is reported once', () => {
  const shared = new VmSharedState();
  const seen = play(shared, () => {
    shared.setVmState(VmState.POWERED_OFF);
    return HALTED_FOREVER;
  });
  assert.deepEqual(seen, ['halted']);
});
