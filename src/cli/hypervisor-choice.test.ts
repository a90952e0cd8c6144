import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseHypervisor, HYPERVISORS } from './hypervisor-choice.js';
import { selfTest } from './self-test.js';

test('v86 runs here and passes its self-test', async () => {
  const hypervisor = await chooseHypervisor('v86');
  assert.equal(hypervisor.name, 'v86');
  assert.match(await selfTest(hypervisor), /^a guest made \d+ I\/O requests and powered off/);
});

test('a hypervisor that cannot run here has a reason and a remedy', async () => {
  for (const choice of HYPERVISORS) {
    const state = await choice.available();
    if (state.available) continue;
    assert.ok(state.reason.length > 0);
    await assert.rejects(chooseHypervisor(choice.name), { code: 'HYPERVISOR_UNAVAILABLE', remedy: /--hypervisor v86/ });
  }
});

test('an unknown name is refused, and the remedy lists the known ones', async () => {
  await assert.rejects(chooseHypervisor('xen'), {
    code: 'OPTION_INVALID',
    remedy: /^Give one of v86, kvm, scripted, or the file of a module, for example \.\/xen\.js/,
  });
});
