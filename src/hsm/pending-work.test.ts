import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OneVm } from './fixtures/one-vm.js';
import type { PendingWork, SideWork } from './pending-work.js';

/** Both polls must agree in a single thread. */
function hasWork(work: PendingWork): boolean {
  const found = work.ordered();
  assert.equal(work.relaxed(), found);
  return found;
}

class Side implements SideWork {
  hasWork = false;
  runs = 0;

  run(): void {
    this.runs++;
  }
}

describe('the work of a pass', () => {
  test('is a PENDING slot of any of the VM’s vCPUs', () => {
    for (const vcpu of [0, 1, 3]) {
      const vm = new OneVm();
      assert.equal(hasWork(vm.requests.work), false);
      vm.fill(vcpu);
      assert.equal(hasWork(vm.requests.work), true);
    }
  });

  test('is not a stalled slot, until the next pass', () => {
    const vm = new OneVm();
    const { work, assignments } = vm.requests;
    vm.fill(1);
    work.stall(assignments.of(1));
    assert.equal(hasWork(work), false);
    vm.fill(2);
    assert.equal(hasWork(work), true);
    work.stall(assignments.of(2));
    work.beginPass();
    assert.equal(hasWork(work), true);
    assert.deepEqual(
      assignments.used.map(({ isStalled }) => isStalled),
      [false, false, false, false],
    );
  });

  test('is not a slot that was PENDING when a request without a client ended the pass', () => {
    const vm = new OneVm();
    const { work, assignments } = vm.requests;
    for (const vcpu of [0, 1, 3]) vm.fill(vcpu);
    work.stallFrom(1);
    assert.deepEqual(
      assignments.used.map(({ isStalled }) => isStalled),
      [false, true, false, true],
    );
    assignments.of(0).isStalled = true;
    assert.equal(hasWork(work), false);
    vm.fill(2);
    assert.equal(hasWork(work), true, 'it became PENDING later');
    work.retryAll();
    assert.equal(assignments.of(3).isStalled, false);
  });

  test('is side work, which each pass runs in order', () => {
    const vm = new OneVm();
    const { work } = vm.requests;
    const [first, second] = [new Side(), new Side()];
    work.add(first);
    first.hasWork = true;
    assert.equal(hasWork(work), true);
    work.beginPass();
    assert.equal(first.runs, 1);
    first.hasWork = false;
    work.add(second);
    assert.equal(hasWork(work), false);
    for (const side of [first, second]) {
      side.hasWork = true;
      assert.equal(hasWork(work), true);
      side.hasWork = false;
    }
    work.beginPass();
    work.beginPass();
    assert.deepEqual([first.runs, second.runs], [3, 2]);
  });
});
