import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import type { Hypercalls } from './hypercalls.js';
import type { Hypervisor, VmConfig } from './hypervisor.js';
import { ScriptedHypervisor } from './scripted/scripted-hypervisor.js';
import { Upcall } from './upcall.js';
import { V86Hypervisor } from './v86/v86-hypervisor.js';

const MEMORY_BYTES = 1 << 20;
const CONFIG: VmConfig = {
  name: 'protected',
  memoryBytes: MEMORY_BYTES,
  vcpuCount: 1,
  completionPolling: false,
};
const INVALID = -22;

async function end(vm: Hypercalls): Promise<void> {
  assert.equal(await vm.pauseVm(), 0);
  assert.equal(await vm.destroyVm(), 0);
}

const HYPERVISORS: readonly (readonly [string, () => Hypervisor])[] = [
  ['scripted', () => new ScriptedHypervisor([])],
  ['v86', () => new V86Hypervisor()],
];

for (const [name, make] of HYPERVISORS)
  describe(`HC_VM_WRITE_PROTECT_PAGE of ${name}`, () => {
    test('takes the start of a page of RAM, before the VM runs, while it does, and when it is paused', async () => {
      const vm = await make().createVm(CONFIG, new SharedBuffer(), new Upcall(), () => undefined);
      const protect = vm.writeProtectPage;
      assert.ok(protect !== undefined);
      const last = MEMORY_BYTES - 0x1000;
      assert.equal(protect(last, true), 0);
      vm.setIoreqBuffer();
      assert.equal(vm.startVm(), 0);
      assert.equal(protect(0x1_0000, true), 0);
      assert.equal(protect(0x1_0000, true), 0, 'twice is once');
      assert.equal(await vm.pauseVm(), 0);
      assert.equal(protect(last, false), 0);
      assert.equal(protect(last, false), 0);
      assert.equal(vm.shared.protectedPages.lowest, 0x1_0000);
      assert.equal(await vm.resetVm(), 0);
      assert.ok(vm.shared.protectedPages.has(0x1_0000), 'a reset leaves it');
      await end(vm);
    });

    test('is −22 for what is not the start of a page of RAM, and −1 when the VM is powered off', async () => {
      const vm = await make().createVm(CONFIG, new SharedBuffer(), new Upcall(), () => undefined);
      const protect = vm.writeProtectPage;
      assert.ok(protect !== undefined);
      for (const address of [1, 0x2_0800, 0x2_0fff, MEMORY_BYTES, 0xd000_0000, 2 ** 52, -0x1000, 0.5, NaN, Infinity])
        for (const on of [true, false]) assert.equal(protect(address, on), INVALID, `${address}`);
      assert.equal(vm.shared.protectedPages.any, false);
      await end(vm);
      assert.equal(protect(0x2_0000, true), -1);
    });
  });

test('v86 refuses what it cannot trap page by page: the first 64 KiB and the window for graphics memory', async () => {
  const vm = await new V86Hypervisor().createVm(CONFIG, new SharedBuffer(), new Upcall(), () => undefined);
  for (const address of [0, 0xf000, 0xa_0000, 0xb_f000]) assert.equal(vm.writeProtectPage?.(address, true), INVALID);
  for (const address of [0x1_0000, 0x9_f000, 0xc_0000]) assert.equal(vm.writeProtectPage?.(address, true), 0);
  await end(vm);
});
