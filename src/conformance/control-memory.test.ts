import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Errno } from '../io-request/errno.js';
import type { HardwareCall } from '../acrn-hsm/hardware.js';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { MMIODEV, PCIDEV, PTDEV_IRQ, VDEV, VM_MEMMAP } from '../acrn-hsm/struct-layout.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { ControlCaller, type Fields } from './control-caller.js';

const RAM = 0;
const MMIO = 1;

async function created(options: ConstructorParameters<typeof ControlCaller>[0] = {}): Promise<ControlCaller> {
  const caller = new ControlCaller(options);
  await caller.create();
  return caller;
}

describe('SET_MEMSEG', () => {
  const set = (caller: ControlCaller, fields: Fields): Promise<number> =>
    caller.result(Ioctl.SET_MEMSEG, VM_MEMMAP, fields);

  test('the guest gets the caller’s bytes, and both see later writes of either', async () => {
    const caller = await created();
    const base = caller.memory.allocate(2 * PAGE_BYTES);
    caller.memory.write(base + 5n, new Uint8Array([1, 2, 3]));
    assert.equal(await set(caller, { type: RAM, attr: 7, user_vm_pa: 0x3000, vma_base: base, len: 2 * PAGE_BYTES }), 0);
    const { memory } = caller.vm;
    assert.deepEqual([...memory.read(0x3005, 3)], [1, 2, 3]);
    caller.memory.write(base + 0x1000n, new Uint8Array([9]));
    assert.equal(memory.readU8(0x4000), 9);
    memory.writeU8(0x4001, 8);
    const seen = new Uint8Array(2);
    caller.memory.read(base + 0x1000n, seen);
    assert.deepEqual([...seen], [9, 8]);
  });

  test('checks in order: less than a page, unmapped pages, room in the guest', async () => {
    const caller = await created();
    const base = caller.memory.allocate(PAGE_BYTES);
    assert.equal(await caller.file.ioctl(Ioctl.SET_MEMSEG, 8n), Errno.EFAULT);
    assert.equal(await set(caller, { type: RAM, vma_base: base, len: 4095 }), Errno.EINVAL);
    assert.equal(await set(caller, { type: RAM, vma_base: base, len: 2 * PAGE_BYTES }), Errno.EFAULT);
    assert.equal(await set(caller, { type: RAM, vma_base: base, len: 1n << 63n }), Errno.EFAULT);
    assert.equal(await set(caller, { type: RAM, vma_base: 0, len: PAGE_BYTES }), Errno.EFAULT);
    const beyond = { type: RAM, vma_base: base, len: PAGE_BYTES, user_vm_pa: 1 << 20 };
    assert.equal(await set(caller, beyond), Errno.EPERM);
    assert.equal(await set(caller, { type: RAM, vma_base: base, len: PAGE_BYTES, user_vm_pa: 0x800 }), Errno.EPERM);
    assert.equal(await set(caller, { type: 2, vma_base: base, len: PAGE_BYTES }), Errno.EINVAL);
  });

  test('a VM has at most 256 RAM segments', async () => {
    const caller = await created();
    const base = caller.memory.allocate(PAGE_BYTES);
    const one = { type: RAM, vma_base: base, len: PAGE_BYTES };
    for (let i = 0; i < 256; i++) assert.equal(await set(caller, one), 0);
    assert.equal(await set(caller, one), Errno.ENOMEM);
  });

  test('UNSET_MEMSEG is for MMIO only', async () => {
    const caller = await created();
    assert.equal(await caller.result(Ioctl.UNSET_MEMSEG, VM_MEMMAP, { type: RAM, len: PAGE_BYTES }), Errno.EINVAL);
    assert.equal(await caller.result(Ioctl.UNSET_MEMSEG, VM_MEMMAP, { type: MMIO, len: PAGE_BYTES }), Errno.EPERM);
    assert.equal(await set(caller, { type: MMIO, len: PAGE_BYTES }), Errno.EPERM);
  });
});

describe('what needs real hardware', () => {
  const CALLS = [
    [Ioctl.SET_PTDEV_INTR, PTDEV_IRQ, 'set-ptdev-intr'],
    [Ioctl.RESET_PTDEV_INTR, PTDEV_IRQ, 'reset-ptdev-intr'],
    [Ioctl.ASSIGN_PCIDEV, PCIDEV, 'assign-pcidev'],
    [Ioctl.DEASSIGN_PCIDEV, PCIDEV, 'deassign-pcidev'],
    [Ioctl.ASSIGN_MMIODEV, MMIODEV, 'assign-mmiodev'],
    [Ioctl.DEASSIGN_MMIODEV, MMIODEV, 'deassign-mmiodev'],
    [Ioctl.CREATE_VDEV, VDEV, 'create-vdev'],
    [Ioctl.DESTROY_VDEV, VDEV, 'destroy-vdev'],
  ] as const;

  test('is refused with −EPERM after the argument was found', async () => {
    const caller = await created();
    for (const [code, layout] of CALLS) {
      assert.equal(await caller.file.ioctl(code, 8n), Errno.EFAULT);
      assert.equal(await caller.result(code, layout, {}), Errno.EPERM);
    }
    const page = caller.memory.allocate(PAGE_BYTES);
    assert.equal(await caller.file.ioctl(Ioctl.VM_INTR_MONITOR, 8n), Errno.EFAULT);
    assert.equal(await caller.file.ioctl(Ioctl.VM_INTR_MONITOR, page), Errno.EPERM);
  });

  test('goes to a hypervisor that implements it, with the structure unchanged', async () => {
    const calls: [HardwareCall, number, number][] = [];
    const caller = await created({
      hardware: (call, vmId, { length }) => {
        calls.push([call, vmId, length]);
        return 0;
      },
    });
    for (const [code, layout] of CALLS) assert.equal(await caller.result(code, layout, {}), 0);
    assert.deepEqual(
      calls,
      CALLS.map(([, layout, name]) => [name, 1, layout.bytes]),
    );
  });

  test("the monitor page is the caller's whole page, seen by both", async () => {
    let page: Uint8Array | undefined;
    const caller = await created({
      hardware: (_, __, argument) => {
        page = argument;
        // The caller's page is shared from the hypercall on.
        page[2] = 0x66;
        return 0;
      },
    });
    const address = caller.memory.allocate(PAGE_BYTES);
    caller.memory.write(address, Uint8Array.of(0x55));
    assert.equal(await caller.file.ioctl(Ioctl.VM_INTR_MONITOR, address + 100n), 0);
    assert.ok(page !== undefined);
    page[3] = 0x77;
    const seen = new Uint8Array(4);
    caller.memory.read(address, seen);
    assert.deepEqual([...seen], [0x55, 0, 0x66, 0x77]);
  });
});

describe('PM_GET_CPU_STATE', () => {
  test('is refused if there is no state to return, and an unknown command returns 0', async () => {
    const caller = await created();
    const address = caller.memory.allocate(64);
    for (const [command, result] of [
      [0, Errno.EPERM],
      [1, Errno.EPERM],
      [2, Errno.EPERM],
      [3, Errno.EPERM],
      [4, 0],
      [0xff, 0],
    ] as const) {
      caller.memory.write(address, new Uint8Array([command, 0, 0, 0, 0, 0, 0, 0]));
      assert.equal(await caller.file.ioctl(Ioctl.PM_GET_CPU_STATE, address), result);
    }
    assert.equal(await caller.file.ioctl(Ioctl.PM_GET_CPU_STATE, 8n), Errno.EFAULT);
  });

  test('the result overwrites the command, in the size that the command defines', async () => {
    const caller = await created({
      hardware: (_, __, state, command) => {
        state.fill(Number((command ?? 0n) & 0xffn));
        return 0;
      },
    });
    const address = caller.memory.allocate(64);
    for (const [command, bytes] of [
      [0, 8],
      [1, 48],
      [2, 8],
      [3, 32],
    ] as const) {
      caller.memory.write(address, new Uint8Array(64).fill(0xee));
      caller.memory.write(address, new Uint8Array([command, 1, 2, 3, 4, 5, 6, 7]));
      assert.equal(await caller.file.ioctl(Ioctl.PM_GET_CPU_STATE, address), 0);
      const seen = new Uint8Array(64);
      caller.memory.read(address, seen);
      assert.deepEqual(
        [...seen],
        [...new Array<number>(bytes).fill(command), ...new Array<number>(64 - bytes).fill(0xee)],
      );
    }
  });

  test('a result that does not fit the caller’s mapped memory is −EFAULT', async () => {
    const caller = await created({ hardware: () => 0 });
    const address = caller.memory.allocate(8);
    caller.memory.write(address, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
    assert.equal(await caller.file.ioctl(Ioctl.PM_GET_CPU_STATE, address), Errno.EFAULT);
  });
});
