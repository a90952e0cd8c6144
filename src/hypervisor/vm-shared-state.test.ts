import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOT_COUNT } from '../io-request/layout.js';
import { OrderedPoll } from '../sync/poll.js';
import { VcpuCounter, VcpuState, VmSharedState, VmState } from './vm-shared-state.js';

test('another thread’s view, made of the handle, sees states, lines and counters', () => {
  const mine = new VmSharedState();
  const theirs = new VmSharedState(mine.handle);
  assert.equal(theirs.vmState, VmState.POWERED_OFF);
  mine.setVmState(VmState.RUNNING);
  theirs.setVcpuState(15, VcpuState.OFFLINE);
  theirs.count(3, VcpuCounter.halts);
  theirs.count(3, VcpuCounter.halts);
  mine.lines.set(47, true);
  assert.deepEqual([theirs.vmState, theirs.isRunning, theirs.starts], [VmState.RUNNING, true, 1]);
  assert.equal(mine.vcpuState(15), VcpuState.OFFLINE);
  assert.deepEqual([mine.counters(3).halts], [2]);
  assert.equal(theirs.lines.level(47), true);
});

test('only a start counts as one', () => {
  const shared = new VmSharedState();
  for (const state of [VmState.CREATED, VmState.RUNNING, VmState.PAUSED, VmState.CREATED, VmState.RUNNING])
    shared.setVmState(state);
  assert.equal(shared.starts, 2);
});

test('requests are withdrawn when the VM is seen to be off, not before: a vCPU would take the slot back and go on', () => {
  const seen: VmState[] = [];
  class Watched extends VmSharedState {
    override withdraw(): void {
      seen.push(this.vmState);
      super.withdraw();
    }
  }
  const shared = new Watched();
  shared.setVmState(VmState.RUNNING);
  shared.setVmState(VmState.POWERED_OFF);
  assert.deepEqual(seen, [VmState.POWERED_OFF]);
  assert.equal(shared.withdrawals, 1);
});

test('each vCPU has its own state, counters and doorbell', () => {
  const shared = new VmSharedState();
  for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
    shared.setVcpuState(vcpu, vcpu % 2 === 0 ? VcpuState.RUNNING : VcpuState.OFFLINE);
    for (const counter of Object.values(VcpuCounter))
      for (let i = 0; i < vcpu + counter; i++) shared.count(vcpu, counter);
  }
  for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
    assert.equal(shared.vcpuState(vcpu), vcpu % 2 === 0 ? VcpuState.RUNNING : VcpuState.OFFLINE);
    const counters = shared.counters(vcpu);
    for (const name of Object.keys(VcpuCounter) as (keyof typeof VcpuCounter)[])
      assert.equal(counters[name], vcpu + VcpuCounter[name], `${name} of vCPU ${vcpu}`);
  }
  assert.equal(new Set(Array.from({ length: SLOT_COUNT }, (_, vcpu) => shared.doorbell(vcpu))).size, SLOT_COUNT);
  for (const vcpu of [-1, 16, 0.5]) assert.throws(() => shared.doorbell(vcpu), RangeError);
});

test(
  'a change of the VM’s state wakes a vCPU, and a change of a vCPU’s state wakes the owner',
  { timeout: 120_000 },
  async () => {
    const shared = new VmSharedState();
    const keepAlive = setInterval(() => undefined, 1000);
    const vcpu = shared.doorbell(9).waitAsync(new OrderedPoll(() => shared.isRunning));
    const owner = shared.owner.waitAsync(new OrderedPoll(() => shared.vcpuState(9) === VcpuState.RUNNING));
    shared.setVmState(VmState.RUNNING);
    assert.equal(await vcpu, true);
    shared.setVcpuState(9, VcpuState.RUNNING);
    assert.equal(await owner, true);
    clearInterval(keepAlive);
  },
);
