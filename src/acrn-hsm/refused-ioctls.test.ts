import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { Errno } from '../io-request/errno.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { ServiceVm } from '../vm/service-vm.js';
import { MappedMemory } from './address-space.js';
import { HsmDevice } from './hsm-device.js';
import type { HsmFile } from './hsm-file.js';
import { createVm, IoctlArgument, memoryMap } from './ioctl-arguments.js';
import { ExtensionIoctl, Ioctl } from './ioctl-codes.js';
import type { RefusedIoctl } from './refused-ioctls.js';
import {
  IOEVENTFD,
  IOREQ_NOTIFY,
  IRQFD,
  MSI_ENTRY,
  PCIDEV,
  VCPU_REGS,
  VM_CREATION,
  VM_MEMMAP,
  type StructLayout,
} from './struct-layout.js';

const MIB = 1 << 20;
const NOT_MAPPED = 16n;

interface Bench {
  readonly file: HsmFile;
  readonly memory: MappedMemory;
  /** A structure with these fields, in the caller's memory. */
  readonly struct: (layout: StructLayout, fields?: Readonly<Record<string, number | bigint>>) => bigint;
  /** Makes a call that is refused. Returns how it was explained. */
  readonly refused: (code: number, argument?: bigint) => Promise<string>;
}

async function withFile(hasVm: boolean, work: (bench: Bench) => Promise<void>): Promise<void> {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const refusals: RefusedIoctl[] = [];
  const device = new HsmDevice(serviceVm, {
    memoryBytes: MIB,
    hasExtensions: true,
    onRefused: ({ message }) => refusals.push({ name: 'reported', errno: '', reason: message }),
    onRefusedIoctl: (refusal) => refusals.push(refusal),
  });
  const memory = new MappedMemory();
  const file = device.open(memory);
  try {
    if (hasVm)
      assert.equal(
        await file.ioctl(Ioctl.CREATE_VM, createVm(memory, { ioreqBuf: memory.allocate(PAGE_BYTES) }).address),
        0,
      );
    assert.equal(refusals.length, 0);
    await work({
      file,
      memory,
      struct: (layout, fields = {}) => {
        const argument = new IoctlArgument(memory, layout);
        for (const [name, value] of Object.entries(fields)) argument.set(name, value);
        return argument.address;
      },
      refused: async (code, argument = 0n) => {
        assert.ok((await file.ioctl(code, argument)) < 0);
        assert.equal(refusals.length, 1);
        return refusals
          .splice(0)
          .map((one) => `${one.name} ${one.errno}: ${one.reason}. ${one.remedy ?? ''}`)
          .join();
      },
    });
  } finally {
    await device.unload();
    await serviceVm.close();
  }
}

describe('a refused ioctl is explained', { timeout: 60_000 }, () => {
  test('without a VM', async () => {
    await withFile(false, async ({ file, struct, refused }) => {
      assert.match(await refused(Ioctl.START_VM), /^START_VM EINVAL: its file has no VM\. Call CREATE_VM first/);
      assert.match(await refused(0xa2ff), /^0xa2ff EINVAL: its file has no VM/);
      assert.match(
        await refused(Ioctl.CREATE_VM, NOT_MAPPED),
        /^CREATE_VM EFAULT: 0x10 is not the address of 48 bytes/,
      );
      const creation = struct(VM_CREATION, { reserved1: 1 });
      assert.match(await refused(Ioctl.CREATE_VM, creation), /^CREATE_VM EINVAL: a reserved field of acrn_vm_creation/);
      const bad = struct(VM_CREATION, { ioreq_buf: NOT_MAPPED });
      assert.match(await refused(Ioctl.CREATE_VM, bad), /^reported : .*page/);
      await file.close();
      assert.match(await refused(Ioctl.START_VM), /^START_VM EBADF: its file is closed/);
    });
  });

  test('of a life cycle', async () => {
    await withFile(true, async ({ file, refused, struct }) => {
      assert.match(await refused(Ioctl.CREATE_VM, struct(VM_CREATION)), /EINVAL: its file has a VM/);
      assert.match(
        await refused(Ioctl.RESET_VM),
        /^RESET_VM EPERM: the VM is CREATED, and this needs PAUSED\. Call PAUSE/,
      );
      assert.equal(await file.ioctl(Ioctl.START_VM), 0);
      assert.match(
        await refused(Ioctl.START_VM),
        /the VM is RUNNING, and this needs CREATED\. Call PAUSE_VM and RESET_VM/,
      );
      assert.match(await refused(Ioctl.DESTROY_VM), /^DESTROY_VM EPERM: the VM is RUNNING, and this needs PAUSED/);
      assert.match(await refused(Ioctl.SET_VCPU_REGS, struct(VCPU_REGS)), /EPERM: the VM is RUNNING\. Call PAUSE_VM/);
    });
  });

  test('of registers and interrupts', async () => {
    await withFile(true, async ({ refused, struct }) => {
      const registers = struct(VCPU_REGS, { 'vcpu_regs.reserved_64': 1 });
      assert.match(
        await refused(Ioctl.SET_VCPU_REGS, registers),
        /EINVAL: a reserved field of acrn_vcpu_regs is not 0/,
      );
      assert.match(
        await refused(Ioctl.SET_VCPU_REGS, struct(VCPU_REGS, { vcpu_id: 3 })),
        /EPERM: there is no vCPU 3: the VM has 1/,
      );
      assert.match(
        await refused(Ioctl.SET_VCPU_REGS, struct(VCPU_REGS)),
        /a vCPU cannot start so: cr0 0x0, .*cs_ar 0x0/,
      );
      assert.match(await refused(Ioctl.SET_IRQLINE, 99n), /^SET_IRQLINE EPERM: there is no line 99, but 0 to 47/);
      assert.match(await refused(Ioctl.INJECT_MSI, struct(MSI_ENTRY, { msi_addr: 1 })), /address 0x1 are not 0xFEE/);
    });
  });

  test('of requests', async () => {
    await withFile(true, async ({ file, refused, struct }) => {
      assert.match(await refused(Ioctl.ATTACH_IOREQ_CLIENT), /^ATTACH_IOREQ_CLIENT ENODEV: the VM has no I\/O client/);
      assert.equal(await file.ioctl(Ioctl.CREATE_IOREQ_CLIENT), 0);
      assert.match(
        await refused(Ioctl.CREATE_IOREQ_CLIENT),
        /EEXIST: the VM has an I\/O client\. Call DESTROY_IOREQ_CLIENT/,
      );
      const reserved = struct(IOREQ_NOTIFY, { reserved: 1 });
      assert.match(
        await refused(Ioctl.NOTIFY_REQUEST_FINISH, reserved),
        /acrn_ioreq_notify is not 0\. .*auto-var-init=zero/,
      );
      const vcpu = struct(IOREQ_NOTIFY, { vcpu: 0x1_0009 });
      assert.match(await refused(Ioctl.NOTIFY_REQUEST_FINISH, vcpu), /EINVAL: there is no vCPU 9: the VM has 1/);
      const waiting = Array.from({ length: 64 }, () => file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT));
      assert.match(await refused(Ioctl.ATTACH_IOREQ_CLIENT), /ENOMEM: 64 threads wait in this call already/);
      assert.equal(await file.ioctl(Ioctl.PAUSE_VM), 0);
      assert.equal(await file.ioctl(Ioctl.DESTROY_VM), 0);
      await Promise.all(waiting.map(async (result) => assert.equal(await result, Errno.ENODEV)));
    });
  });

  test('of memory', async () => {
    await withFile(true, async ({ memory, refused, struct }) => {
      const set = (fields: Readonly<Record<string, number | bigint>>): Promise<string> =>
        refused(Ioctl.SET_MEMSEG, struct(VM_MEMMAP, fields));
      assert.match(await set({ type: 7 }), /^SET_MEMSEG EINVAL: type 7 is neither RAM \(0\) nor MMIO \(1\)/);
      assert.match(await set({ type: 1 }), /EPERM: there is no such hardware/);
      assert.match(await set({ len: 100 }), /EINVAL: len 100 is less than a page/);
      assert.match(
        await set({ len: 8192, vma_base: 0x10_0000_0000n }),
        /EFAULT: the 8192 bytes at 0x1000000000 are not all mapped/,
      );
      const mapped = memory.allocate(PAGE_BYTES);
      const share = memory.share.bind(memory);
      memory.share = () => false;
      assert.match(
        await set({ len: PAGE_BYTES, vma_base: mapped }),
        /EFAULT: the 4096 bytes at 0x[0-9a-f]+ are mapped but cannot be shared: .* at a limit/,
      );
      assert.match(
        await set({ len: PAGE_BYTES, vma_base: memory.allocate(2 * PAGE_BYTES) + 8n }),
        /EFAULT: 0x[0-9a-f]+8 is not the address of a page\. Use the address/,
      );
      memory.share = share;
      const outside = memoryMap(memory, { source: memory.allocate(2 * MIB), length: 2 * MIB });
      assert.match(
        await refused(Ioctl.SET_MEMSEG, outside.address),
        /^reported : SET_MEMSEG of 2 MiB at 0x0 is outside/,
      );
      assert.match(await refused(Ioctl.UNSET_MEMSEG, struct(VM_MEMMAP)), /EINVAL: RAM cannot be unset/);
    });
  });

  test('of events, rings, hardware and codes', async () => {
    await withFile(true, async ({ memory, refused, struct }) => {
      const event = (fields: Readonly<Record<string, number>>): Promise<string> =>
        refused(Ioctl.IOEVENTFD, struct(IOEVENTFD, { fd: 9, len: 4, ...fields }));
      assert.match(await event({}), /^IOEVENTFD EBADF: descriptor 9 is not open/);
      assert.match(await event({ len: 3 }), /EINVAL: len 3 is not 1, 2, 4 or 8/);
      assert.match(await event({ addr: -1 }), /EINVAL: 4 bytes at 0xf{16} exceed 64 bits/);
      assert.match(await event({ len: 0, flags: 4 }), /^IOEVENTFD EBADF: descriptor 9 is not open/);
      assert.match(await event({ reserved: 1 }), /a reserved field of acrn_ioeventfd is not 0/);
      assert.match(await event({ flags: 8 }), /ENODEV: asynchronous I\/O is not set up\. Call SETUP_ASYNCIO first/);
      assert.match(await refused(Ioctl.IRQFD, struct(IRQFD, { fd: 9 })), /^IRQFD EBADF: descriptor 9 is not open/);
      assert.match(
        await refused(ExtensionIoctl.SETUP_VM_EVENT_FD, 9n),
        /^SETUP_VM_EVENT_FD EBADF: descriptor 9 is not open/,
      );
      assert.match(
        await refused(ExtensionIoctl.SETUP_ASYNCIO, NOT_MAPPED),
        /EFAULT: 0x10 is not the address of a page of the process/,
      );
      const page = memory.allocate(2 * PAGE_BYTES);
      assert.match(
        await refused(ExtensionIoctl.SETUP_ASYNCIO, page + 8n),
        /EPERM: 0x\w+ is not the address of a page\. Pass/,
      );
      assert.match(await refused(ExtensionIoctl.SETUP_ASYNCIO, page), /is not an empty ring of the right element size/);
      assert.match(
        await refused(Ioctl.ASSIGN_PCIDEV, struct(PCIDEV)),
        /^ASSIGN_PCIDEV EPERM: there is no such hardware/,
      );
      assert.match(await refused(0xa2ff), /^0xa2ff ENOTTY: there is no such ioctl\. Use the codes of linux\/acrn\.h/);
    });
  });
});
