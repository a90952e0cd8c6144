import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from '../vm/service-vm.js';
import { parseDevice } from './device-option.js';
import { startSession } from './session-start.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-session-start-'));
after(() => rmSync(folder, { recursive: true }));
const never = join(folder, 'never.mjs');
writeFileSync(never, 'export default () => new Promise(() => {});');

for (const placement of ['', ',thread'])
  test(`a device that is never created fails the start after the limit${placement && ', also in a thread'}`, async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
    const vm = await serviceVm.createUserVm({ memoryMiB: 1, startTimeoutMs: 50 });
    await assert.rejects(startSession(vm, { devices: [parseDevice(`${never}@0x500${placement}`)] }, undefined, 50), {
      code: 'DEVICE_MODULE_INVALID',
      message: /never\.mjs: the device was not created within 0\.05 s/,
    });
    await serviceVm.close();
  });

test('a card whose option asks for nothing afterwards is attached, too', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  const card = { name: 'card', pci: { vendor: 1, device: 2, class: 0 }, read: () => 0, write: () => undefined };
  await startSession(vm, { devices: [], cards: [{ option: '--card', create: () => Promise.resolve(card) }] });
  assert.ok(vm.inspection.clients.some(({ name }) => name === 'card'));
  await serviceVm.close();
});
