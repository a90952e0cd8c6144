import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Errno } from '../io-request/errno.js';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { MSI_ENTRY } from '../acrn-hsm/struct-layout.js';
import { LocalEvent } from '../hsm/event-object.js';
import { IoRequestState } from '../io-request/state.js';
import { ControlCaller } from './control-caller.js';

const WRITE = 1;
const PIO = 1;
const DATAMATCH = 2;
const DEASSIGN = 4;
const CLOSED_FD = 999;

interface Prepared {
  readonly caller: ControlCaller;
  readonly event: LocalEvent;
  readonly fd: number;
  /** Open, but no event. */
  readonly otherFd: number;
}

async function prepare(): Promise<Prepared> {
  const caller = new ControlCaller();
  await caller.create();
  await caller.file.ioctl(Ioctl.START_VM);
  const event = new LocalEvent();
  const fd = caller.descriptors.open(event);
  return { caller, event, fd, otherFd: caller.descriptors.open() };
}

describe('IOEVENTFD', () => {
  test('a write signals the event and completes without a default client', async () => {
    const { caller, event, fd } = await prepare();
    assert.equal(await caller.ioeventfd({ fd, flags: PIO | DATAMATCH, addr: 0x2010, len: 2, data: 1 }), 0);
    caller.port(0, WRITE, 0x2010, 2, 1);
    assert.equal(event.read(), 1n);
    const slot = caller.vm.buffer.slot(0);
    assert.equal(slot.state, IoRequestState.COMPLETE);
    assert.equal(slot.kernelHandled, 1);
    assert.deepEqual(caller.vm.notified, [0]);
  });

  test('without the PIO flag the address is MMIO, and without DATAMATCH any data matches', async () => {
    const { caller, event, fd } = await prepare();
    assert.equal(await caller.ioeventfd({ fd, addr: 0x3000, len: 4, data: 77 }), 0);
    caller.mmio(0, WRITE, 0x3000, 4, 5);
    assert.equal(event.read(), 1n);
  });

  test('checks in order: the argument, `reserved`, the end, the length, the descriptor, a conflict', async () => {
    const { caller, fd, otherFd } = await prepare();
    assert.equal(await caller.file.ioctl(Ioctl.IOEVENTFD, 8n), Errno.EFAULT);
    const wrong = { fd: CLOSED_FD, addr: 0xffff_ffff_ffff_ffffn, len: 3 };
    assert.equal(await caller.ioeventfd({ ...wrong, reserved: 1, flags: DEASSIGN }), Errno.EINVAL);
    assert.equal(await caller.ioeventfd(wrong), Errno.EINVAL);
    assert.equal(await caller.ioeventfd({ fd: CLOSED_FD, len: 3 }), Errno.EINVAL);
    assert.equal(await caller.ioeventfd({ fd: CLOSED_FD, len: 4 }), Errno.EBADF);
    assert.equal(await caller.ioeventfd({ fd: otherFd, len: 4 }), Errno.EINVAL);
    assert.equal(await caller.ioeventfd({ fd, len: 4 }), 0);
    assert.equal(await caller.ioeventfd({ fd, len: 8 }), Errno.EEXIST);
  });

  test('deassign checks only the descriptor, and returns 0 if there is nothing to remove', async () => {
    const { caller, event, fd, otherFd } = await prepare();
    await caller.ioeventfd({ fd, flags: PIO, addr: 0x2010, len: 2 });
    assert.equal(await caller.ioeventfd({ fd: CLOSED_FD, flags: DEASSIGN }), Errno.EBADF);
    assert.equal(await caller.ioeventfd({ fd: otherFd, flags: DEASSIGN }), Errno.EINVAL);
    assert.equal(await caller.ioeventfd({ fd, flags: DEASSIGN, addr: 0x99, len: 77 }), 0);
    assert.equal(await caller.ioeventfd({ fd, flags: DEASSIGN }), 0);
    caller.port(0, WRITE, 0x2010, 2, 1);
    assert.equal(event.isReadable, false);
  });

  test('flags that mainline does not know, ASYNCIO among them, have no effect', async () => {
    const { caller, event, fd } = await prepare();
    assert.equal(await caller.ioeventfd({ fd, flags: 0xffff_fff8 | PIO, addr: 0x2010, len: 2 }), 0);
    caller.port(0, WRITE, 0x2010, 2, 1);
    assert.equal(event.read(), 1n);
  });
});

describe('IRQFD', () => {
  const MSI = { 'msi.msi_addr': 0xfee0_1000, 'msi.msi_data': 0x41 };

  test('a signal injects the message', async () => {
    const { caller, event, fd } = await prepare();
    assert.equal(await caller.irqfd({ fd, ...MSI }), 0);
    event.signal();
    assert.deepEqual(caller.vm.messages, [{ address: 0xfee0_1000, data: 0x41 }]);
  });

  test('descriptors are checked, and a second irqfd for one event is −EBUSY', async () => {
    const { caller, fd, otherFd } = await prepare();
    assert.equal(await caller.file.ioctl(Ioctl.IRQFD, 8n), Errno.EFAULT);
    assert.equal(await caller.irqfd({ fd: CLOSED_FD, ...MSI }), Errno.EBADF);
    assert.equal(await caller.irqfd({ fd: otherFd, ...MSI }), Errno.EINVAL);
    assert.equal(await caller.irqfd({ fd, ...MSI }), 0);
    assert.equal(await caller.irqfd({ fd, ...MSI }), Errno.EBUSY);
    assert.equal(await caller.irqfd({ fd, flags: 1 }), 0);
    assert.equal(await caller.irqfd({ fd, flags: 1 }), 0);
  });

  test('a message that the hypervisor refuses is only logged', async () => {
    const { caller, event, fd } = await prepare();
    assert.equal(await caller.irqfd({ fd, 'msi.msi_addr': 0x1000 }), 0);
    event.signal();
    assert.deepEqual(caller.events, [{ kind: 'injection-failed', vmId: 1 }]);
  });

  test('a destroyed VM leaves its events alone', async () => {
    const { caller, event, fd } = await prepare();
    await caller.irqfd({ fd, ...MSI });
    const { vm } = caller;
    await caller.file.close();
    event.signal();
    assert.deepEqual(vm.messages, []);
    assert.deepEqual(caller.events, []);
  });
});

describe('interrupts by ioctl', () => {
  test('INJECT_MSI passes address and data on; an address other than 0xFEE… is −EPERM', async () => {
    const { caller } = await prepare();
    const inject = (msi_addr: bigint): Promise<number> =>
      caller.result(Ioctl.INJECT_MSI, MSI_ENTRY, { msi_addr, msi_data: 0x1_0000_0041n });
    assert.equal(await inject(0xfee0_2000n), 0);
    assert.equal(await inject(0xfed0_2000n), Errno.EPERM);
    assert.equal(await inject(0x1_fee0_2000n), 0);
    assert.equal(await caller.file.ioctl(Ioctl.INJECT_MSI, 8n), Errno.EFAULT);
    assert.deepEqual(caller.vm.messages[0], { address: 0xfee0_2000, data: 0x41 });
  });

  test("SET_IRQLINE's argument is the value: line below, operation above", async () => {
    const { caller } = await prepare();
    assert.equal(await caller.file.ioctl(Ioctl.SET_IRQLINE, (1n << 32n) | 47n), 0);
    assert.equal(await caller.file.ioctl(Ioctl.SET_IRQLINE, 48n), Errno.EPERM);
    assert.equal(await caller.file.ioctl(Ioctl.SET_IRQLINE, (0xffn << 32n) | 4n), 0);
    assert.deepEqual(caller.vm.lineOperations, [
      [47, 1],
      [4, 0xff],
    ]);
  });
});
