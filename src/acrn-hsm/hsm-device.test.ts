/** What HsmDevice adds to the driver for its operator: reasons for refusals, and names of VMs. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { Errno } from '../io-request/errno.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { ServiceVm } from '../vm/service-vm.js';
import { MappedMemory } from './address-space.js';
import { HsmDevice } from './hsm-device.js';
import type { HsmFile } from './hsm-file.js';
import { createVm, memoryMap } from './ioctl-arguments.js';
import { Ioctl } from './ioctl-codes.js';

const MIB = 1 << 20;

/** Calls back with an open file of a device whose VMs have 1 MiB, and what was refused. */
async function withFile(
  work: (file: HsmFile, memory: MappedMemory, refused: readonly string[]) => Promise<void>,
): Promise<void> {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const refused: string[] = [];
  const device = new HsmDevice(serviceVm, {
    memoryBytes: MIB,
    cpuMask: 1n,
    onRefused: (error) => refused.push(error.describe()),
  });
  const memory = new MappedMemory();
  try {
    await work(device.open(memory), memory, refused);
  } finally {
    await device.unload();
    await serviceVm.close();
  }
}

describe('a refusal names its reason to the operator', { timeout: 60_000 }, () => {
  test('of a segment outside of the RAM', async () => {
    await withFile(async (file, memory, refused) => {
      const ioreqBuf = memory.allocate(PAGE_BYTES);
      assert.equal(await file.ioctl(Ioctl.CREATE_VM, createVm(memory, { ioreqBuf }).address), 0);
      const segment = memoryMap(memory, { source: memory.allocate(2 * MIB), length: 2 * MIB });
      assert.equal(await file.ioctl(Ioctl.SET_MEMSEG, segment.address), Errno.EPERM);
      assert.match(
        refused.join(),
        /^SET_MEMSEG of 2 MiB at 0x0 is outside of the VM's RAM of 1 MiB\. Give the VM more/,
      );
    });
  });

  test('of a CPU that is not there', async () => {
    await withFile(async (file, memory, refused) => {
      const creation = createVm(memory, { ioreqBuf: memory.allocate(PAGE_BYTES), cpuAffinity: 2n });
      assert.equal(await file.ioctl(Ioctl.CREATE_VM, creation.address), Errno.EINVAL);
      assert.deepEqual(refused, ['CREATE_VM names a CPU that a VM cannot have']);
    });
  });

  test('of a page that cannot be shared', async () => {
    await withFile(async (file, memory, refused) => {
      const creation = createVm(memory, { ioreqBuf: memory.allocate(PAGE_BYTES) + 8n });
      assert.equal(await file.ioctl(Ioctl.CREATE_VM, creation.address), Errno.EINVAL);
      assert.match(refused.join(), /^the VM cannot have its page of request slots\. Give the address of a whole/);
    });
  });
});

test('a file is closed once, and each call waits until its VM has ended', { timeout: 60_000 }, async () => {
  await withFile(async (file, memory) => {
    const ioreqBuf = memory.allocate(PAGE_BYTES);
    assert.equal(await file.ioctl(Ioctl.CREATE_VM, createVm(memory, { ioreqBuf }).address), 0);
    const ends: string[] = [];
    file.vm?.onEvent(({ kind }) => kind === 'ended' && ends.push(kind));
    void file.close();
    await file.close();
    assert.deepEqual(ends, ['ended']);
    await file.close();
    assert.deepEqual(ends, ['ended']);
  });
});

describe('the name of a VM is', { timeout: 60_000 }, () => {
  const cases: readonly (readonly [string, readonly number[], string])[] = [
    ['the text of its field', [...Buffer.from('guest-7')], 'guest-7'],
    ['all 16 characters of it', [...Buffer.from('0123456789abcdef')], '0123456789abcdef'],
    ['its number, if the field is empty', [], 'vm1'],
    [
      'a UUID, if the field is no text',
      Array.from({ length: 16 }, (_, i) => 0xf0 + i),
      'f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff',
    ],
  ];
  for (const [what, bytes, name] of cases)
    test(what, async () => {
      await withFile(async (file, memory) => {
        const creation = createVm(memory, { ioreqBuf: memory.allocate(PAGE_BYTES) });
        bytes.forEach((byte, i) => creation.set('uuid', byte, i));
        assert.equal(await file.ioctl(Ioctl.CREATE_VM, creation.address), 0);
        assert.equal(file.vm?.name, name);
      });
    });
});
