import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScriptedHypervisor, type Script } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from '../vm/service-vm.js';
import type { UserVm } from '../vm/user-vm.js';
import { PageHolds } from './page-holds.js';

const script = (address: number): Script => ({ steps: [{ type: 'port', direction: 'read', address, size: 1 }] });

/** A VM with two vCPUs, of which each reads one port: 0x500 and 0x501. */
async function withHolds(work: (vm: UserVm, holds: PageHolds) => Promise<void>): Promise<void> {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([script(0x500), script(0x501)]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, vcpus: 2 });
  await work(vm, new PageHolds(vm.debugger, false, () => undefined));
  await serviceVm.close();
}

/** Resolves when this many requests are held. */
function held(vm: UserVm, count: number): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (vm.debugger.stops.length !== count) return;
      remove();
      resolve();
    };
    const remove = vm.debugger.onChange(check);
    check();
  });
}

test('a release lets go what pages hold and removes their breakpoints, and leaves a program its own', async () => {
  await withHolds(async (vm, holds) => {
    const own = vm.debugger.add({ at: 'pending', vcpu: 0 });
    holds.run({ kind: 'break', id: 1, breakpoint: { at: 'pending', vcpu: 1 } });
    await vm.start();
    await held(vm, 2);
    assert.deepEqual(
      holds.stops.map(({ vcpu }) => vcpu),
      [1],
    );
    assert.equal(holds.release(), 1);
    assert.deepEqual(
      vm.debugger.stops.map(({ vcpu }) => vcpu),
      [0],
    );
    assert.deepEqual(
      vm.debugger.breakpoints.map(({ number }) => number),
      [own],
    );
    assert.equal(holds.release(), 0);
    vm.debugger.detach();
    await vm.ended;
  });
});

test('a request stays the page’s if its breakpoint is removed while it is held, and a step is the page’s', async () => {
  await withHolds(async (vm, holds) => {
    holds.run({ kind: 'break', id: 1, breakpoint: { at: 'pending', vcpu: 0 } });
    holds.run({ kind: 'break', id: 2, breakpoint: { at: 'pending', vcpu: 1 } });
    await vm.start();
    await held(vm, 2);
    for (const { number } of vm.debugger.breakpoints) holds.run({ kind: 'unbreak', id: 3, number });
    assert.equal(holds.stops.length, 2);
    holds.run({ kind: 'step', id: 4, vcpu: 0 });
    await held(vm, 2);
    assert.deepEqual(
      holds.stops.map(({ at }) => at),
      ['complete', 'pending'],
    );
    assert.equal(holds.release(), 0);
    await vm.ended;
  });
});

test('after a release no request is held: neither by “hold all” nor by a step on its way', async () => {
  await withHolds(async (vm, holds) => {
    holds.run({ kind: 'hold-all', id: 1, pending: true, complete: false });
    await vm.start();
    await held(vm, 2);
    holds.run({ kind: 'step', id: 2, vcpu: 0 });
    holds.release();
    assert.deepEqual(vm.debugger.holdAll, { pending: false, complete: false });
    await vm.ended;
  });
});

test('what a program holds after “remove all” of a page is not the page’s', async () => {
  await withHolds(async (vm, holds) => {
    holds.run({ kind: 'hold-all', id: 1, pending: true, complete: true });
    holds.run({ kind: 'detach', id: 2 });
    vm.debugger.holdAll = { pending: true, complete: false };
    await vm.start();
    await held(vm, 2);
    assert.deepEqual(holds.stops, []);
    vm.debugger.detach();
    await vm.ended;
  });
});
