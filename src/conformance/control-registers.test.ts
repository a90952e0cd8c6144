import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Errno } from '../io-request/errno.js';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { VCPU_REGS } from '../acrn-hsm/struct-layout.js';
import type { GuestMemory } from '../hypervisor/guest-memory.js';
import { V86Hypervisor } from '../hypervisor/v86/v86-hypervisor.js';
import type { VcpuRegisters } from '../hypervisor/vcpu-registers.js';
import type { UserVmEvent } from '../vm/user-vm-events.js';
import type { UserVm } from '../vm/user-vm.js';
import { ControlCaller, type Fields } from './control-caller.js';

/** Fields of `acrn_regs`, whose names all begin with this. */
function registers(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [`vcpu_regs.${name}`, value]));
}

const REAL_MODE: Fields = registers({ cr0: 0x30, cs_ar: 0x9f, cs_sel: 0xf000, cs_limit: 0xffff });
/** As ACRN's device model sets them for an ELF image. */
const PROTECTED_MODE: Fields = registers({
  ...{ cr0: 0x31, cs_ar: 0xcf9b, cs_sel: 0x10, cs_limit: 0xffff_ffff, ds_sel: 0x18, ss_sel: 0x18, es_sel: 0x18 },
  ...{ 'gdt.limit': 0x1f, 'gdt.base': 0x800, rip: 0x10_0000 },
});

async function set(fields: Fields): Promise<{ result: number; set: VcpuRegisters | undefined }> {
  const caller = new ControlCaller();
  await caller.create();
  const result = await caller.result(Ioctl.SET_VCPU_REGS, VCPU_REGS, fields);
  return { result, set: caller.vm.registers.get(0) };
}

describe('SET_VCPU_REGS takes', () => {
  test("the sample's real-mode registers, with CS at base 0", async () => {
    const { result, set: taken } = await set({ ...REAL_MODE, ...registers({ rip: 0x7c00, 'gprs.rdx': 0x80 }) });
    assert.equal(result, 0);
    assert.equal(taken?.mode, 'real');
    assert.deepEqual([taken.ip, taken.edx, taken.flags], [0x7c00, 0x80, 2]);
    assert.deepEqual(taken.cs, { selector: 0xf000, base: 0, limit: 0xffff, attributes: 0x9f });
  });

  test('flat protected mode with its tables and every selector', async () => {
    const { set: taken } = await set({
      ...PROTECTED_MODE,
      ...registers({ fs_sel: 0x20, 'idt.base': 0x900, 'idt.limit': 0x7ff, ldt_sel: 0x28, tr_sel: 0x30, rflags: 0x8d7 }),
    });
    assert.equal(taken?.mode, 'flat-32');
    assert.deepEqual(taken.gdt, { base: 0x800, limit: 0x1f });
    assert.deepEqual(taken.idt, { base: 0x900, limit: 0x7ff });
    const { cs, ds, es, fs, gs, ss, ldtr, tr, flags } = taken;
    const selectors = [cs, ds, es, fs, gs, ss, ldtr, tr].map((segment) => segment?.selector);
    assert.deepEqual(selectors, [0x10, 0x18, 0x18, 0x20, 0, 0x18, 0x28, 0x30]);
    assert.equal(flags, 2, 'results of arithmetic are cleared');
  });

  for (const [what, fields] of [
    ['paging', { cr0: 0x8000_0031, cr3: 0x1000 }],
    ['paging with large pages and PAE', { cr0: 0x8000_0031, cr3: 0x1000, cr4: 0x30 }],
    ['16-bit code', { cs_ar: 0x9b, cs_limit: 0xf_ffff, cs_base: 0x1_0000, rip: 0 }],
    ['interrupts on', { rflags: 0x202 }],
    ['a rounding of the limit to pages', { cs_ar: 0xc09b, cs_limit: 0x1f_ffff, rip: 0x1f_ffff }],
  ] as const) {
    test(what, async () => assert.equal((await set({ ...PROTECTED_MODE, ...registers(fields) })).result, 0));
  }

  test('nothing while the VM runs', async () => {
    const caller = new ControlCaller();
    await caller.create();
    await caller.file.ioctl(Ioctl.START_VM);
    assert.equal(await caller.result(Ioctl.SET_VCPU_REGS, VCPU_REGS, REAL_MODE), Errno.EPERM);
    assert.equal(await caller.file.ioctl(Ioctl.SET_VCPU_REGS, 0xdead_0000n), Errno.EFAULT);
  });
});

describe('SET_VCPU_REGS refuses', () => {
  for (const name of ['reserved', ...['reserved_32', 'reserved_64', 'gdt.reserved', 'idt.reserved'].map(prefixed)]) {
    test(`anything but 0 in ${name}, with −EINVAL`, async () =>
      assert.equal((await set({ ...REAL_MODE, [name]: 1 })).result, Errno.EINVAL));
  }

  for (const [what, fields] of [
    ['paging', { cr0: 0x8000_0030 }],
    ['write-through off with the cache on', { cr0: 0x2000_0030 }],
    ['a reserved bit of CR0', { cr0: 0x130 }],
    ['CR0 beyond 32 bits', { cr0: 0x1_0000_0030 }],
    ['a code segment that is not present', { cs_ar: 0x1f }],
    ['a system segment for code', { cs_ar: 0x8b }],
    ['an unusable code segment', { cs_ar: 0x1_009f }],
    ['an instruction pointer beyond the segment', { rip: 0x1_0000 }],
  ] as const) {
    test(`${what} in real mode`, async () =>
      assert.equal((await set({ ...REAL_MODE, ...registers(fields) })).result, Errno.EPERM));
  }

  for (const [what, fields] of [
    ['long mode', { ia32_efer: 0x500, cr4: 0x20, cr0: 0x8000_0031 }],
    ['virtual-8086 mode', { rflags: 0x2_0002 }],
    ['single steps', { rflags: 0x102 }],
    ['flags without the bit that is always set', { rflags: 0x200 }],
    ['SMEP, which the CPU emulator lacks', { cr4: 0x10_0000 }],
    ['CR4 beyond 32 bits', { cr4: 0x1_0000_0000n }],
    ['page tables beyond 4 GiB', { cr3: 0x1_0000_0000n }],
    ['data as code', { cs_ar: 0xc093 }],
    ['code of another privilege level', { cs_ar: 0xc0fb }],
    ['a limit that its granularity does not allow', { cs_ar: 0x409b }],
    ['a limit that is not one of whole pages', { cs_limit: 0xffff_fffe }],
    ['a task in the local table', { tr_sel: 0x34 }],
  ] as const) {
    test(`${what} in protected mode`, async () =>
      assert.equal((await set({ ...PROTECTED_MODE, ...registers(fields) })).result, Errno.EPERM));
  }

  test('a vCPU that does not exist', async () =>
    assert.equal((await set({ ...REAL_MODE, vcpu_id: 2 })).result, Errno.EPERM));
});

function prefixed(name: string): string {
  return `vcpu_regs.${name}`;
}

describe('a guest on the CPU emulator v86 starts', () => {
  /** Runs until the guest halts; returns its memory. */
  async function run(fields: Fields, prepare: (memory: GuestMemory) => void): Promise<GuestMemory> {
    let onEvent: (event: UserVmEvent) => void = () => undefined;
    const first = new Promise<UserVmEvent>((resolve) => (onEvent = resolve));
    const onVm = (vm: UserVm): unknown => vm.onEvent(onEvent);
    const caller = new ControlCaller({ hypervisor: new V86Hypervisor(), vcpuCount: 1, onVm });
    await caller.device.load();
    assert.equal((await caller.create()).result, 0);
    const memory = caller.file.vm?.hypercalls.memory;
    assert.ok(memory !== undefined);
    prepare(memory);
    assert.equal(await caller.result(Ioctl.SET_VCPU_REGS, VCPU_REGS, fields), 0);
    assert.equal(await caller.file.ioctl(Ioctl.START_VM), 0);
    const event = await first;
    await caller.device.unload();
    assert.equal(event.kind, 'halted', JSON.stringify(event));
    return memory;
  }

  test('with paging on, at an address that only its page tables know', async () => {
    const memory = await run(
      { ...PROTECTED_MODE, ...registers({ cr0: 0x8000_0031, cr3: 0x1000, rip: 0xc000_0000 }) },
      (ram) => {
        ram.writeU32(0x1000 + 4 * 0x300, 0x2003); // 3 GiB: the table at 0x2000
        ram.writeU32(0x2000, 0x5003); // its first page: RAM at 0x5000
        // mov dword [0xc0000800], 0x600d; hlt
        ram.write(0x5000, Uint8Array.of(0xc7, 0x05, 0x00, 0x08, 0x00, 0xc0, 0x0d, 0x60, 0x00, 0x00, 0xf4));
      },
    );
    assert.equal(memory.readU32(0x5800), 0x600d);
  });

  test('in 16-bit protected mode, with code at a base of its own and flat data', async () => {
    const memory = await run(
      { ...PROTECTED_MODE, ...registers({ cs_ar: 0x9b, cs_limit: 0xffff, cs_base: 0x1_2000, rip: 0x10 }) },
      // mov ebx, 0x5000; mov dword [ebx], 0x600d; hlt, all with prefixes for 32 bits
      (ram) =>
        ram.write(
          0x1_2010,
          Uint8Array.of(0x66, 0xbb, 0, 0x50, 0, 0, 0x66, 0x67, 0xc7, 0x03, 0x0d, 0x60, 0x00, 0x00, 0xf4),
        ),
    );
    assert.equal(memory.readU32(0x5000), 0x600d);
  });
});
