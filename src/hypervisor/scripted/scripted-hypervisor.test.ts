import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ports } from '../../hsm/address-range.js';
import { ServiceVm } from '../../vm/service-vm.js';
import type { ScriptResult } from './script.js';
import { ScriptedHypervisor } from './scripted-hypervisor.js';

test('the results of one play stay as they are when the scripts are played again', async () => {
  const hypervisor = new ScriptedHypervisor([
    { steps: [{ type: 'port', direction: 'read', address: 0x500, size: 1 }] },
  ]);
  const serviceVm = new ServiceVm(hypervisor);
  let reads = 0;
  const reported: number[] = [];
  const end = hypervisor.onResult((vcpu) => reported.push(vcpu));
  const play = async (): Promise<ScriptResult[]> => {
    const results = hypervisor.results();
    const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
    vm.attach(ports(0x500, 1), { name: 'counter', read: () => ++reads, write: () => undefined });
    await vm.start();
    return results;
  };
  const first = await play();
  end();
  const second = await play();
  assert.deepEqual([first[0]?.values, second[0]?.values], [[1n], [2n]]);
  assert.deepEqual(reported, [0]);
  await serviceVm.close();
});
