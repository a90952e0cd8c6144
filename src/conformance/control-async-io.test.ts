import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Errno } from '../io-request/errno.js';
import { ExtensionIoctl, Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { LocalEvent } from '../hsm/event-object.js';
import { decodeAcrnVmEvent, POWER_OFF, rtcChanged } from '../hsm/acrn-vm-events.js';
import { RingId, VmEventType } from '../hypervisor/async-io-hypercalls.js';
import { IoHandler } from '../hypervisor/io-handler.js';
import { MmioHandlerTable } from '../hypervisor/mmio-handlers.js';
import { PortHandlerTable } from '../hypervisor/port-handlers.js';
import { powerOffAfterFault } from '../hypervisor/power-off.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { createRingPage } from '../sync/shared-ring.js';
import { IoRequestState } from '../io-request/state.js';
import { ControlCaller, type Fields } from './control-caller.js';

const PIO = 1;
const DATAMATCH = 2;
const DEASSIGN = 4;
const ASYNCIO = 8;

interface Prepared {
  readonly caller: ControlCaller;
  readonly event: LocalEvent;
  readonly fd: number;
  /** The caller's ring page. */
  readonly ring: bigint;
  /** vCPU 0's, in this thread: only for accesses that do not wait. */
  readonly vcpu: IoHandler;
}

async function prepare(elementBytes = 8): Promise<Prepared> {
  const caller = new ControlCaller({ hasExtensions: true });
  await caller.create();
  await caller.file.ioctl(Ioctl.START_VM);
  const ring = caller.memory.allocate(PAGE_BYTES);
  caller.memory.write(ring, createRingPage(elementBytes));
  const event = new LocalEvent();
  const { shared, buffer, upcall } = caller.vm;
  const vcpu = new IoHandler({
    vcpu: 0,
    slot: buffer.slot(0),
    upcall,
    shared,
    handlers: { ports: new PortHandlerTable(), mmio: new MmioHandlerTable() },
    completionPolling: false,
  });
  return { caller, event, fd: caller.descriptors.open(event), ring, vcpu };
}

async function withRing(fields: Fields = {}): Promise<Prepared> {
  const prepared = await prepare();
  const { caller, fd, ring } = prepared;
  assert.equal(await caller.file.ioctl(ExtensionIoctl.SETUP_ASYNCIO, ring), 0);
  const request = { fd, flags: PIO | ASYNCIO, addr: 0x2010, len: 2, ...fields };
  assert.equal(await caller.ioeventfd(request), 0);
  return prepared;
}

describe('asynchronous I/O', () => {
  test("a write is complete in the vCPU's thread, and the event is signalled at the next pass", async () => {
    const { caller, event, vcpu } = await withRing();
    vcpu.portWrite(0x2010, 2, 5);
    assert.equal(caller.vm.buffer.slot(0).state, IoRequestState.FREE);
    assert.equal(event.isReadable, false);
    assert.equal(caller.file.vm?.requests.work.ordered(), true);
    caller.pass();
    assert.equal(event.read(), 1n);
    assert.equal(caller.file.vm.requests.work.ordered(), false);
  });

  test('a write matches by address and type, whatever its length', async () => {
    const { caller, event, vcpu } = await withRing();
    vcpu.portWrite(0x2010, 4, 5);
    vcpu.portWrite(0x2010, 1, 5);
    caller.pass();
    assert.equal(event.read(), 2n);
    const { asyncIo } = caller.vm;
    assert.equal(asyncIo.find(0, 0x2011, 0, 5, 0), 0);
    assert.equal(asyncIo.find(1, 0x2010, 0, 5, 0), 0);
    assert.notEqual(asyncIo.find(0, 0x2010, 0, 5, 0), 0);
  });

  test('a memory write matches on 64 bits of data', async () => {
    const { caller, event, vcpu } = await withRing({
      flags: ASYNCIO | DATAMATCH,
      addr: 0x8000_3000,
      data: 0x1_0000_0002n,
    });
    vcpu.mmioWrite(0x8000_3000, 8, 2, 1);
    caller.pass();
    assert.equal(event.read(), 1n);
    assert.equal(caller.vm.asyncIo.find(1, 0x8000_3000 | 0, 0, 2, 0), 0);
  });

  test('a port write matches its data, whatever MMIO value the slot held before', async () => {
    const { caller, event, vcpu } = await withRing({ flags: PIO | ASYNCIO | DATAMATCH, data: 3 });
    caller.vm.asyncIo.assignAsyncIo({ isPort: false, address: 0x9000n, handle: 77 });
    vcpu.mmioWrite(0x9000, 8, 1, 1);
    vcpu.portWrite(0x2010, 2, 3);
    caller.pass();
    assert.equal(event.read(), 1n);
  });

  test('after deassign a write is a request again; the newest descriptor wins', async () => {
    const { caller, event, fd, vcpu } = await withRing();
    const newer = new LocalEvent();
    const newerFd = caller.descriptors.open(newer);
    const { asyncIo } = caller.vm;
    await caller.ioeventfd({ fd: newerFd, flags: PIO | ASYNCIO, addr: 0x2012, len: 2 });
    vcpu.portWrite(0x2012, 2, 0);
    assert.equal(await caller.ioeventfd({ fd, flags: PIO | ASYNCIO | DEASSIGN, addr: 0x2010, len: 2 }), 0);
    assert.equal(asyncIo.find(0, 0x2010, 0, 0, 0), 0);
    caller.pass();
    assert.equal(newer.read(), 1n);
    assert.equal(event.isReadable, false);
  });

  test('a conflicting assign returns 0 and changes nothing; address 0 is never assigned', async () => {
    const { caller } = await withRing();
    const otherFd = caller.descriptors.open(new LocalEvent());
    const handle = caller.vm.asyncIo.find(0, 0x2010, 0, 9, 0);
    assert.equal(await caller.ioeventfd({ fd: otherFd, flags: PIO | ASYNCIO, addr: 0x2010, len: 2 }), 0);
    assert.equal(caller.vm.asyncIo.find(0, 0x2010, 0, 9, 0), handle);
    assert.equal(await caller.ioeventfd({ fd: otherFd, flags: PIO | ASYNCIO, addr: 0, len: 2 }), 0);
    assert.equal(caller.vm.asyncIo.find(0, 0, 0, 0, 0), 0);
  });

  test('checks the ring, then the descriptor, and never the length', async () => {
    const { caller, fd, ring } = await prepare();
    const closed = { fd: 999, flags: PIO | ASYNCIO, addr: 1, len: 3 };
    assert.equal(await caller.ioeventfd(closed), Errno.ENODEV);
    assert.equal(await caller.file.ioctl(ExtensionIoctl.SETUP_ASYNCIO, 8n), Errno.EFAULT);
    assert.equal(
      await caller.file.ioctl(ExtensionIoctl.SETUP_ASYNCIO, caller.memory.allocate(PAGE_BYTES)),
      Errno.EPERM,
    );
    assert.equal(await caller.file.ioctl(ExtensionIoctl.SETUP_ASYNCIO, ring), 0);
    assert.equal(await caller.ioeventfd(closed), Errno.EBADF);
    assert.equal(await caller.ioeventfd({ ...closed, fd }), 0);
  });

  test('a ring that userspace corrupts signals no event and throws nothing', async () => {
    const { caller, event, ring } = await withRing();
    const garbage = new Uint8Array(PAGE_BYTES - 64).fill(0xff);
    caller.memory.write(ring + 64n, garbage);
    const words = (head: number, tail: number): Uint8Array => new Uint8Array(Int32Array.of(head, tail).buffer);
    for (const [head, tail] of [
      [0, 4024],
      [-8, 16],
      [4, 16],
      [0, 1 << 30],
      [4024, 8],
    ] as const) {
      caller.memory.write(ring + 16n, words(head, tail));
      caller.pass();
    }
    assert.equal(event.isReadable, false);
  });

  test('a corrupt ring loses the notification and the vCPU goes on; a full ring is waited for with a limit', async () => {
    const { caller, ring, vcpu } = await withRing();
    caller.memory.write(ring + 16n, new Uint8Array(Int32Array.of(3, 3).buffer));
    vcpu.portWrite(0x2010, 2, 0);
    caller.memory.write(ring + 16n, new Uint8Array(Int32Array.of(8, 0).buffer));
    vcpu.portWrite(0x2010, 2, 0);
    assert.equal(caller.vm.shared.counters(0).failed, 1);
    assert.equal(caller.vm.buffer.slot(0).state, IoRequestState.FREE);
  });
});

describe('VM events', () => {
  test('a triple fault puts an event into the ring, then powers off by the ACPI register', async () => {
    const { caller, event, fd, ring, vcpu } = await prepare(32);
    assert.equal(await caller.file.ioctl(ExtensionIoctl.SETUP_VM_EVENT_FD, BigInt(fd)), 0);
    const { shared, upcall } = caller.vm;
    assert.equal(powerOffAfterFault(vcpu, shared, upcall), false);
    assert.equal(await caller.file.ioctl(ExtensionIoctl.SETUP_VM_EVENT_RING, ring), 0);
    // The write to the ACPI register at 0x404 would wait for an answer in this thread. As
    // asynchronous I/O it completes at once, and its event shows that it was made.
    const asyncIoRing = caller.memory.allocate(PAGE_BYTES);
    caller.memory.write(asyncIoRing, createRingPage(8));
    await caller.file.ioctl(ExtensionIoctl.SETUP_ASYNCIO, asyncIoRing);
    const powerOff = new LocalEvent();
    const request = { fd: caller.descriptors.open(powerOff), flags: PIO | DATAMATCH | ASYNCIO, addr: 0x404, len: 2 };
    await caller.ioeventfd({ ...request, data: 0x3400 });
    assert.equal(powerOffAfterFault(vcpu, shared, upcall), true);
    caller.pass();
    assert.equal(powerOff.read(), 1n);
    assert.equal(event.read(), 1n);
    caller.pass();
    assert.equal(event.isReadable, false, 'no second signal for the same event');
    const element = new Int32Array(8);
    caller.vm.asyncIo.ring(RingId.VM_EVENT)?.take(element);
    assert.equal(decodeAcrnVmEvent(element).type, VmEventType.TRIPLE_FAULT);
  });

  test('the emulated clock and power register put their events into the ring and signal userspace', async () => {
    const { caller, event, fd, ring } = await prepare(32);
    await caller.file.ioctl(ExtensionIoctl.SETUP_VM_EVENT_FD, BigInt(fd));
    const events = caller.file.vm?.acrnEvents;
    assert.equal(events?.send(POWER_OFF), false, 'no ring');
    await caller.file.ioctl(ExtensionIoctl.SETUP_VM_EVENT_RING, ring);
    assert.equal(events.send(rtcChanged(1_700_000_000, -3600)), true);
    assert.equal(event.read(), 1n);
    assert.equal(events.send(POWER_OFF), true);
    assert.equal(event.read(), 1n);
    assert.equal(events.hasWork, false);

    const bytes = new Uint8Array(64);
    assert.ok(caller.memory.read(ring + 64n, bytes));
    const view = new DataView(bytes.buffer);
    assert.deepEqual(
      [view.getUint32(0, true), view.getBigInt64(4, true), view.getBigInt64(12, true), view.getUint32(32, true)],
      [0, 1_700_000_000n, -3600n, 1],
    );
    assert.ok(bytes.subarray(36).every((byte) => byte === 0));

    let sent = 2;
    while (events.send(POWER_OFF)) sent++;
    assert.equal(sent, Math.floor((PAGE_BYTES - 64) / 32) - 1, 'a full ring takes no more');
  });

  test('SETUP_VM_EVENT_FD takes an int by value and refuses a descriptor that is not open', async () => {
    const { caller, fd } = await prepare();
    for (const closed of [200n, -1n, 0xffff_ffffn])
      assert.equal(await caller.file.ioctl(ExtensionIoctl.SETUP_VM_EVENT_FD, closed), Errno.EBADF, String(closed));
    // The driver takes the low 32 bits.
    assert.equal(await caller.file.ioctl(ExtensionIoctl.SETUP_VM_EVENT_FD, BigInt(fd) + 2n ** 32n), 0);
  });
});
