import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IoRequestState } from '../io-request/state.js';
import { ports } from './address-range.js';
import { Keeper, OneVm } from './fixtures/one-vm.js';
import { started } from './fixtures/running-module.js';
import { someTurns, until } from './fixtures/turns.js';

const { PROCESSING, COMPLETE, PENDING } = IoRequestState;

describe('the module', { timeout: 120_000 }, () => {
  test('has its VMs newest first, and the others stay when one is removed', async () => {
    const { module, vm } = started();
    const [second, third] = [new OneVm(), new OneVm()];
    module.addVm(second.requests);
    module.addVm(third.requests);
    assert.deepEqual(module.vms, [third.requests, second.requests, vm.requests]);
    module.removeVm(second.requests);
    assert.deepEqual(module.vms, [third.requests, vm.requests]);
    await module.worker.stop();
  });

  test('a removed VM is closed and no longer dispatched', async () => {
    const { module, upcall, vm, client } = started();
    vm.fill(0);
    upcall.raise();
    await until(() => client.kept.length === 1);
    module.removeVm(vm.requests);
    assert.deepEqual(module.vms, []);
    assert.equal(vm.buffer.slot(0).state, COMPLETE);
    vm.fill(1);
    upcall.raise();
    await someTurns();
    assert.equal(vm.buffer.slot(1).state, PENDING);
    await module.worker.stop();
  });

  test('destroying a client finishes its requests and lets the worker go on', async () => {
    const { module, upcall, vm, client } = started();
    const kernel = new Keeper('kernel', ports(0x500, 1));
    vm.requests.clients.add(kernel, kernel.ranges);
    vm.fill(0);
    upcall.raise();
    await until(() => kernel.kept.length === 1);
    module.destroyClient(vm.requests, kernel);
    assert.deepEqual([vm.buffer.slot(0).state, vm.buffer.slot(0).valueLow], [COMPLETE, -1]);
    vm.fill(1);
    upcall.raise();
    await until(() => client.kept.length === 1);
    assert.equal(vm.buffer.slot(1).state, PROCESSING);
    await module.worker.stop();
  });

  test('a disconnect that throws still lets the worker go on', async () => {
    const { module, upcall, vm, client } = started();
    const broken = {
      name: 'broken',
      notify: () => undefined,
      disconnected: () => {
        throw new Error('bug');
      },
    };
    vm.requests.clients.add(broken);
    assert.throws(() => module.destroyClient(vm.requests, broken), /bug/);
    vm.fill(0);
    upcall.raise();
    await until(() => client.kept.length === 1);
    await module.worker.stop();
  });
});
