import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Errno } from '../io-request/errno.js';
import { ExtensionIoctl, Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { VM_CREATION } from '../acrn-hsm/struct-layout.js';
import { PAGE_BYTES, SLOT_BYTES, SLOT_OFFSET } from '../io-request/layout.js';
import { VmState } from '../hypervisor/vm-shared-state.js';
import { ControlCaller } from './control-caller.js';

const UNMAPPED = 0x10n;

describe('before a VM is created', () => {
  test('every ioctl but CREATE_VM returns −EINVAL, even an unknown one', async () => {
    const { file } = new ControlCaller();
    for (const code of [...Object.values(Ioctl), 0xdead]) {
      if (code !== Ioctl.CREATE_VM) assert.equal(await file.ioctl(code, UNMAPPED), Errno.EINVAL);
    }
  });

  test('CREATE_VM checks the argument’s address first, then its reserved fields', async () => {
    const caller = new ControlCaller();
    assert.equal(await caller.file.ioctl(Ioctl.CREATE_VM, UNMAPPED), Errno.EFAULT);
    assert.equal((await caller.create({ reserved0: 1 })).result, Errno.EINVAL);
    assert.equal((await caller.create({ reserved1: 1 })).result, Errno.EINVAL);
    assert.equal(caller.hypervisor.vms.length, 0);
  });
});

describe('CREATE_VM', () => {
  test('gives the VM an ID and the number of its vCPUs, and stamps the page FREE', async () => {
    const caller = new ControlCaller();
    const { result, argument } = await caller.create();
    assert.equal(result, 0);
    assert.equal(argument.number('vmid'), 1);
    assert.equal(argument.number('vcpu_num'), 2);
    const expected = new Uint8Array(PAGE_BYTES);
    for (let slot = 0; slot < 16; slot++) expected[slot * SLOT_BYTES + SLOT_OFFSET.state] = 3;
    const page = new Uint8Array(PAGE_BYTES);
    assert.ok(caller.memory.read(caller.page, page));
    assert.deepEqual(page, expected);
  });

  test('the caller and the hypervisor see one page', async () => {
    const caller = new ControlCaller();
    await caller.create();
    assert.ok(caller.memory.write(caller.page + 88n, new Uint8Array([0x42])));
    assert.equal(caller.vm.buffer.slot(0).valueLow, 0x42);
  });

  test('the VM has a vCPU for each CPU in the affinity, and CPUs that do not exist are refused', async () => {
    const caller = new ControlCaller({ cpuMask: 0xfn });
    assert.equal((await caller.create({ cpu_affinity: 0x1f })).result, Errno.EINVAL);
    const { argument } = await caller.create({ cpu_affinity: 0xd });
    assert.equal(argument.number('vcpu_num'), 3);
  });

  test('the VM’s name and the polling flag reach the hypervisor', async () => {
    const caller = new ControlCaller();
    await caller.call(Ioctl.CREATE_VM, VM_CREATION, { ioreq_buf: caller.page, uuid: 0x41, vm_flag: 4 });
    assert.equal(caller.vm.config.name, 'A');
    assert.equal(caller.vm.config.completionPolling, true);
  });

  for (const [what, address] of [
    ['no page', 0n],
    ['an unmapped page', UNMAPPED << 12n],
  ] as const) {
    test(`${what} is −EINVAL, and the hypervisor's VM is gone`, async () => {
      const caller = new ControlCaller();
      assert.equal((await caller.create({ ioreq_buf: address })).result, Errno.EINVAL);
      assert.equal(caller.vm.state, VmState.POWERED_OFF);
      assert.equal(await caller.file.ioctl(Ioctl.START_VM), Errno.EINVAL);
    });
  }

  test('a refusal by the hypervisor is −EINVAL', async () => {
    const caller = new ControlCaller({ cpuMask: 0x1_ffffn });
    assert.equal((await caller.create({ cpu_affinity: 0x1_ffff })).result, Errno.EINVAL);
    assert.equal((await caller.create({ cpu_affinity: 0xffff })).result, 0);
  });

  test('a page that is not aligned is −EINVAL: the driver would use the page around the address', async () => {
    const caller = new ControlCaller();
    assert.equal((await caller.create({ ioreq_buf: caller.page + 8n })).result, Errno.EINVAL);
  });

  test('a result that cannot be copied out is −EFAULT and destroys the VM', async () => {
    const caller = new ControlCaller();
    const write = caller.memory.write.bind(caller.memory);
    const address = caller.memory.allocate(48);
    const argument = new DataView(new ArrayBuffer(48));
    argument.setBigUint64(32, caller.page, true);
    write(address, new Uint8Array(argument.buffer));
    const readOnly = caller.device.open({
      read: (from, target) => caller.memory.read(from, target),
      isMapped: (at, bytes) => caller.memory.isMapped(at, bytes),
      write: () => false,
      share: (at, target, written) => caller.memory.share(at, target, written),
    });
    assert.equal(await readOnly.ioctl(Ioctl.CREATE_VM, address), Errno.EFAULT);
    assert.equal(caller.vm.state, VmState.POWERED_OFF);
    assert.equal(caller.served, 0);
  });

  test('a second CREATE_VM on one file is refused, and the first VM is unchanged', async () => {
    const caller = new ControlCaller();
    await caller.create();
    assert.equal((await caller.create({ ioreq_buf: caller.memory.allocate(PAGE_BYTES) })).result, Errno.EINVAL);
    assert.equal(caller.hypervisor.vms.length, 1);
    assert.equal(await caller.file.ioctl(Ioctl.START_VM), 0);
  });

  test('of two concurrent CREATE_VM one is refused', async () => {
    const caller = new ControlCaller();
    const results = await Promise.all([caller.create(), caller.create()]);
    assert.deepEqual(results.map(({ result }) => result).sort(), [Errno.EINVAL, 0].sort());
  });
});

describe('the life cycle', () => {
  test("START needs CREATED, RESET and DESTROY need PAUSED; the hypercall's −1 arrives as it is", async () => {
    const caller = new ControlCaller();
    await caller.create();
    const { file } = caller;
    assert.equal(await file.ioctl(Ioctl.RESET_VM), Errno.EPERM);
    assert.equal(await file.ioctl(Ioctl.START_VM), 0);
    assert.equal(await file.ioctl(Ioctl.START_VM), Errno.EPERM);
    assert.equal(await file.ioctl(Ioctl.DESTROY_VM), Errno.EPERM);
    assert.equal(await file.ioctl(Ioctl.PAUSE_VM), 0);
    assert.equal(await file.ioctl(Ioctl.PAUSE_VM), 0);
    assert.equal(await file.ioctl(Ioctl.RESET_VM), 0);
    assert.equal(await file.ioctl(Ioctl.START_VM), 0);
  });

  test('a VM whose DESTROY_VM was refused stays usable; after DESTROY_VM the file has none', async () => {
    const caller = new ControlCaller();
    await caller.create();
    const { file } = caller;
    await file.ioctl(Ioctl.START_VM);
    assert.equal(await file.ioctl(Ioctl.DESTROY_VM), Errno.EPERM);
    assert.equal(await file.ioctl(Ioctl.CREATE_IOREQ_CLIENT), 0);
    assert.equal(await file.ioctl(Ioctl.PAUSE_VM), 0);
    assert.equal(await file.ioctl(Ioctl.DESTROY_VM), 0);
    assert.equal(await file.ioctl(Ioctl.DESTROY_VM), Errno.EINVAL);
    assert.equal(caller.served, 0);
  });

  test('of two concurrent DESTROY_VM the second returns 0 and destroys nothing', async () => {
    const caller = new ControlCaller();
    await caller.create();
    await caller.file.ioctl(Ioctl.PAUSE_VM);
    const both = [1, 2].map(() => Promise.resolve(caller.file.ioctl(Ioctl.DESTROY_VM)));
    assert.deepEqual(await Promise.all(both), [0, 0]);
  });

  test('a file creates another VM after the first was destroyed, which can be destroyed too', async () => {
    const caller = new ControlCaller();
    for (let round = 0; round < 2; round++) {
      assert.equal((await caller.create()).result, 0);
      await caller.file.ioctl(Ioctl.PAUSE_VM);
      assert.equal(await caller.file.ioctl(Ioctl.DESTROY_VM), 0);
      assert.equal(caller.vm.state, VmState.POWERED_OFF);
    }
  });

  test('closing the file of a running VM pauses and destroys it', async () => {
    const caller = new ControlCaller();
    await caller.create();
    await caller.file.ioctl(Ioctl.START_VM);
    await caller.file.close();
    assert.equal(caller.vm.state, VmState.POWERED_OFF);
    assert.equal(caller.served, 0);
    assert.equal(await caller.file.ioctl(Ioctl.START_VM), Errno.EBADF);
  });

  test('closing a file while its VM is being created leaves no VM', async () => {
    const caller = new ControlCaller();
    const creating = caller.create();
    await caller.file.close();
    await creating;
    assert.equal(caller.vm.state, VmState.POWERED_OFF);
    assert.equal(caller.served, 0);
  });

  test('unloading the module closes every file', async () => {
    const caller = new ControlCaller();
    await caller.device.load();
    await caller.create();
    await caller.device.unload();
    assert.equal(caller.vm.state, VmState.POWERED_OFF);
  });

  test('an ID is used again only after its VM has ended', async () => {
    const caller = new ControlCaller();
    await caller.create();
    const other = caller.device.open(caller.memory);
    const address = caller.memory.allocate(48);
    const view = new DataView(new ArrayBuffer(48));
    view.setBigUint64(32, caller.memory.allocate(PAGE_BYTES), true);
    caller.memory.write(address, new Uint8Array(view.buffer));
    assert.equal(await other.ioctl(Ioctl.CREATE_VM, address), 0);
    const id = new Uint8Array(2);
    caller.memory.read(address, id);
    assert.deepEqual([...id], [2, 0]);
  });
});

describe('unknown ioctls', () => {
  test("are −ENOTTY once there is a VM; on mainline so are those of ACRN's own kernel", async () => {
    const caller = new ControlCaller();
    await caller.create();
    for (const code of [0, 0xa2ff, 0xc030a211, ...Object.values(ExtensionIoctl)])
      assert.equal(await caller.file.ioctl(code, UNMAPPED), Errno.ENOTTY);
  });
});
