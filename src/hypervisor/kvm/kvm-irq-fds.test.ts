/**
 * Events whose signals the kernel makes interrupt messages. Where a guest runs in the test's own
 * thread, no event loop runs meanwhile, so whatever arrives was delivered by the kernel.
 */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { afterEach, describe, test } from 'node:test';
import { MappedMemory } from '../../acrn-hsm/address-space.js';
import { HsmDevice } from '../../acrn-hsm/hsm-device.js';
import { createVm, IoctlArgument, REAL_MODE, vcpuRegs } from '../../acrn-hsm/ioctl-arguments.js';
import { Ioctl } from '../../acrn-hsm/ioctl-codes.js';
import { LinuxEvents, type LinuxEvent } from '../../acrn-hsm/linux-events.js';
import { IRQFD } from '../../acrn-hsm/struct-layout.js';
import { ports } from '../../hsm/address-range.js';
import { Errno } from '../../io-request/errno.js';
import { PAGE_BYTES } from '../../io-request/layout.js';
import { Deferred } from '../../sync/deferred.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { LoneVcpu } from './fixtures/lone-vcpu.js';
import { SLOWNESS, whyNoKvm } from './fixtures/needed-kvm.js';
import { Kernel } from './kernel.js';
import { KvmHypervisor } from './kvm-hypervisor.js';
import { KvmIrqFds } from './kvm-irq-fds.js';

const skip = await whyNoKvm();
/** As in host/node/linux/kernel-lines.ts. */
const IRQ_LINE = 0x4008_ae61;
const CODE = 0x1000;
const HANDLER = 0x3000;
const PORT = 0x500;
const VECTOR = 0x41;
const OTHER_VECTOR = 0x42;
const MESSAGE_ADDRESS = 0xfee0_0000;
/** A flat data segment, with which real-mode code reaches 4 GiB. */
const FLAT = { selector: 0, base: 0, limit: 0xffff_ffff };

// Real-mode code.
/** mov dword [local APIC's register], value */
const apic = (register: number, value: number): number[] => [
  ...[0x67, 0x66, 0xc7, 0x05, register, 0x00, 0xe0, 0xfe],
  ...[value & 0xff, value >> 8, 0x00, 0x00],
];
const ENABLE_APIC = apic(0xf0, 0x1ff);
const END_OF_INTERRUPT = apic(0xb0, 0);
/**
 * The same without a data segment of 4 GiB. mov ecx, APIC base; rdmsr; or ah, 12; wrmsr; mov ecx,
 * the register; mov eax, 0x1ff; wrmsr
 */
const ENABLE_X2APIC = [
  ...[0x66, 0xb9, 0x1b, 0x00, 0x00, 0x00, 0x0f, 0x32, 0x80, 0xcc, 0x0c, 0x0f, 0x30],
  ...[0x66, 0xb9, 0x0f, 0x08, 0x00, 0x00, 0x66, 0xb8, 0xff, 0x01, 0x00, 0x00, 0x0f, 0x30],
];
/** mov dx, PORT; mov al, value; out dx, al */
const say = (value: number): number[] => [0xba, PORT & 0xff, PORT >> 8, 0xb0, value, 0xee];
/** sti; hlt; jmp to hlt */
const SLEEP = [0xfb, 0xf4, 0xeb, 0xfd];
const IRET = 0xcf;
/** cli; sti; nop; cli: takes what is pending. */
const TAKE_PENDING = [0xfa, 0xfb, 0x90, 0x90, 0xfa];
const READY = 0xff;
const line = (value: number): string => `out 0x500/1 = 0x${value.toString(16)}`;

let lone: LoneVcpu | undefined;
const open: LinuxEvent[] = [];
afterEach(() => {
  for (const event of open.splice(0)) event.close();
  lone?.close();
  lone = undefined;
});

const descriptors = (): number => readdirSync('/proc/self/fd').length;

async function createEvent(): Promise<LinuxEvent> {
  const event = (await LinuxEvents.load())?.create();
  assert.ok(event !== undefined);
  open.push(event);
  return event;
}

/** Each interrupt of a vector says it: `out 0x500/1 = VECTOR`. */
function writeHandlers(memory: { write(address: number, data: Uint8Array): void }): void {
  [VECTOR, OTHER_VECTOR].forEach((vector, index) => {
    const at = HANDLER + 0x100 * index;
    memory.write(vector * 4, Uint8Array.of(at & 0xff, at >> 8, 0, 0));
    memory.write(at, Uint8Array.from([...say(vector), ...END_OF_INTERRUPT, IRET]));
  });
}

/** A guest that has said READY and sleeps next, or does `then`. */
async function sleeping(then: readonly number[] = SLEEP): Promise<LoneVcpu> {
  lone = await LoneVcpu.create([...ENABLE_APIC, ...say(READY), ...then], { ds: FLAT });
  writeHandlers(lone.machine.memory);
  assert.deepEqual(lone.runUntil(1), [line(READY)]);
  return lone;
}

/** Another process that signals the event once, when it likes. */
function signaller(event: LinuxEvent): ChildProcess {
  const signal = String.raw`printf '\1\0\0\0\0\0\0\0' >&3`;
  return spawn('sh', ['-c', signal], { stdio: ['ignore', 'ignore', 'inherit', event.fd] });
}

describe('an event of the kernel', { skip, timeout: 60_000 * SLOWNESS }, () => {
  test('that another process signals wakes the guest, while this thread is in the guest', async () => {
    const event = await createEvent();
    const one = await sleeping();
    assert.ok(one.machine.messageEvents.assign(event.fd, MESSAGE_ADDRESS, VECTOR) !== undefined);
    const other = signaller(event);
    assert.deepEqual(one.runUntil(2), [line(READY), line(VECTOR)]);
    await once(other, 'close');
    // Not left readable, as ACRN's driver leaves it.
    assert.equal(event.isReadable, false);
  });

  test('has its own message, and each signal is one interrupt', async () => {
    const [first, second] = [await createEvent(), await createEvent()];
    const one = await sleeping();
    one.machine.messageEvents.assign(first.fd, MESSAGE_ADDRESS, VECTOR);
    one.machine.messageEvents.assign(second.fd, MESSAGE_ADDRESS, OTHER_VECTOR);
    const expected = [line(READY)];
    for (const [event, vector] of [
      [first, VECTOR],
      [second, OTHER_VECTOR],
      [first, VECTOR],
    ] as const) {
      event.signal();
      expected.push(line(vector));
      assert.deepEqual(one.runUntil(expected.length), expected);
    }
  });

  test('that is readable at the assignment interrupts exactly once', async () => {
    const event = await createEvent();
    event.signal();
    event.signal();
    // Interrupts are taken one by one, and what comes next is seen after them.
    const one = await sleeping([...SLEEP.slice(0, 2), ...TAKE_PENDING, ...say(READY), ...SLEEP]);
    one.machine.messageEvents.assign(event.fd, MESSAGE_ADDRESS, VECTOR);
    assert.deepEqual(one.runUntil(3), [line(READY), line(VECTOR), line(READY)]);
    event.signal();
    assert.deepEqual(one.runUntil(4).slice(3), [line(VECTOR)]);
  });

  test('that has ended has no effect, and its place is used again', async () => {
    const [first, second] = [await createEvent(), await createEvent()];
    const one = await sleeping();
    const { messageEvents } = one.machine;
    const end = messageEvents.assign(first.fd, MESSAGE_ADDRESS, VECTOR);
    end?.();
    end?.();
    messageEvents.assign(second.fd, MESSAGE_ADDRESS, OTHER_VECTOR);
    first.signal();
    second.signal();
    assert.deepEqual(one.runUntil(2), [line(READY), line(OTHER_VECTOR)]);
    assert.equal(first.read(), 1n);
  });

  test('ends also if its owner has closed the descriptor before', async () => {
    const event = await createEvent();
    const one = await sleeping();
    const before = descriptors();
    const end = one.machine.messageEvents.assign(event.fd, MESSAGE_ADDRESS, VECTOR);
    assert.equal(descriptors(), before + 1);
    event.close();
    end?.();
    assert.equal(descriptors(), before - 1);
    // Another event, which may have the same number now.
    const next = await createEvent();
    assert.ok(one.machine.messageEvents.assign(next.fd, MESSAGE_ADDRESS, OTHER_VECTOR) !== undefined);
    next.signal();
    assert.deepEqual(one.runUntil(2), [line(READY), line(OTHER_VECTOR)]);
  });

  test('stays over a reset of the VM', async () => {
    const event = await createEvent();
    const one = await sleeping();
    one.machine.messageEvents.assign(event.fd, MESSAGE_ADDRESS, VECTOR);
    one.vcpu.stop();
    one.machine.reset();
    one.vcpu.start({ mode: 'real', ip: CODE, cs: { selector: 0 }, ds: FLAT, esp: CODE });
    assert.deepEqual(one.runUntil(2), [line(READY), line(READY)]);
    event.signal();
    assert.deepEqual(one.runUntil(3).slice(2), [line(VECTOR)]);
  });

  test('ends with the VM, which leaves no descriptor and then refuses', async () => {
    const [first, second] = [await createEvent(), await createEvent()];
    const before = descriptors();
    const one = await sleeping();
    const { messageEvents } = one.machine;
    const ends = [first, second].map(({ fd }) => messageEvents.assign(fd, MESSAGE_ADDRESS, VECTOR));
    one.close();
    lone = undefined;
    assert.equal(descriptors(), before);
    first.signal();
    assert.equal(first.read(), 1n);
    for (const end of ends) end?.();
    assert.equal(messageEvents.assign(first.fd, MESSAGE_ADDRESS, VECTOR), undefined);
    assert.equal(descriptors(), before);
  });

  test('is refused at other addresses, for what is no eventfd, and twice; nothing stays open', async () => {
    const event = await createEvent();
    const one = await sleeping();
    const { messageEvents } = one.machine;
    const before = descriptors();
    assert.equal(messageEvents.assign(event.fd, 0xfed0_0000, VECTOR), undefined);
    assert.equal(messageEvents.assign(0, MESSAGE_ADDRESS, VECTOR), undefined);
    assert.equal(messageEvents.assign(-1, MESSAGE_ADDRESS, VECTOR), undefined);
    assert.equal(descriptors(), before);
    assert.ok(messageEvents.assign(event.fd, MESSAGE_ADDRESS, VECTOR) !== undefined);
    assert.equal(messageEvents.assign(event.fd, MESSAGE_ADDRESS, OTHER_VECTOR), undefined);
    assert.equal(descriptors(), before + 1);
    event.signal();
    assert.deepEqual(one.runUntil(2), [line(READY), line(VECTOR)]);
  });

  test('leaves the pins of the 8259s and of the I/O APIC what they were', async () => {
    const event = await createEvent();
    const pic = [
      // First 8259: vectors from 0x40 on, edge-triggered, the second at pin 2; pin 1 is not masked.
      ...[0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x40, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21],
      ...[0xb0, 0xfd, 0xe6, 0x21],
      // I/O APIC: its pin 20 is OTHER_VECTOR. mov dword [IOREGSEL], 0x38; mov dword [IOWIN], vector
      ...[0x67, 0x66, 0xc7, 0x05, 0x00, 0x00, 0xc0, 0xfe, 0x38, 0x00, 0x00, 0x00],
      ...[0x67, 0x66, 0xc7, 0x05, 0x10, 0x00, 0xc0, 0xfe, OTHER_VECTOR, 0x00, 0x00, 0x00],
    ];
    const one = await sleeping([...pic, ...say(0), ...SLEEP]);
    assert.deepEqual(one.runUntil(2).slice(1), [line(0)]);
    one.machine.messageEvents.assign(event.fd, MESSAGE_ADDRESS, 0x99);
    const kernel = await Kernel.open();
    const set = (pin: number, isHigh: boolean): void => {
      const level = new Uint8Array(Uint32Array.of(pin, isHigh ? 1 : 0).buffer);
      assert.equal(kernel.calls.ioctl(one.machine.kernelVm, IRQ_LINE, level), 0);
    };
    set(1, true);
    assert.deepEqual(one.runUntil(3).slice(2), [line(VECTOR)]);
    set(20, true);
    assert.deepEqual(one.runUntil(4).slice(3), [line(OTHER_VECTOR)]);
  });
});

test('events have places up to the kernel’s limit of routes', { skip }, async () => {
  const one = await sleeping();
  const kernel = await Kernel.open();
  const routes = 24 + 16;
  const few = new KvmIrqFds(kernel, one.machine.kernelVm, routes + 1);
  const none = new KvmIrqFds(kernel, one.machine.kernelVm, -1);
  const [first, second] = [await createEvent(), await createEvent()];
  const end = few.assign(first.fd, MESSAGE_ADDRESS, VECTOR);
  assert.ok(end !== undefined);
  assert.equal(few.assign(second.fd, MESSAGE_ADDRESS, VECTOR), undefined);
  assert.equal(none.assign(second.fd, MESSAGE_ADDRESS, VECTOR), undefined);
  end();
  assert.ok(few.assign(second.fd, MESSAGE_ADDRESS, VECTOR) !== undefined);
  few.close();
  // The kernel's VM is still there.
  assert.equal(few.assign(second.fd, MESSAGE_ADDRESS, VECTOR), undefined);
});

test(
  'an irqfd of ACRN’s interface is the kernel’s, and not counted',
  { skip, timeout: 60_000 * SLOWNESS },
  async () => {
    const events = await LinuxEvents.load();
    assert.ok(events !== undefined);
    const before = descriptors();
    const serviceVm = new ServiceVm(new KvmHypervisor());
    const device = new HsmDevice(serviceVm, { memoryBytes: 1 << 20, hasExtensions: true });
    const memory = new MappedMemory();
    const file = device.open(memory, events);
    const event = events.create();
    open.push(event);
    try {
      const creation = createVm(memory, { ioreqBuf: memory.allocate(PAGE_BYTES) });
      assert.equal(await file.ioctl(Ioctl.CREATE_VM, creation.address), 0);
      const { vm } = file;
      assert.ok(vm !== undefined);
      const request = new IoctlArgument(memory, IRQFD)
        .set('fd', event.fd)
        .set('msi.msi_addr', MESSAGE_ADDRESS)
        .set('msi.msi_data', VECTOR);
      assert.equal(await file.ioctl(Ioctl.IRQFD, request.address), 0);
      assert.equal(await file.ioctl(Ioctl.IRQFD, request.address), Errno.EBUSY);
      const guest = vm.hypercalls.memory;
      guest.write(CODE, Uint8Array.from([...ENABLE_X2APIC, ...say(READY), ...SLEEP]));
      guest.write(VECTOR * 4, Uint8Array.of(HANDLER & 0xff, HANDLER >> 8, 0, 0));
      guest.write(HANDLER, Uint8Array.from([...say(VECTOR), IRET]));
      const registers = vcpuRegs(memory, { ...REAL_MODE, rip: CODE, 'idt.limit': 0x3ff });
      assert.equal(await file.ioctl(Ioctl.SET_VCPU_REGS, registers.address), 0);
      const said: number[] = [];
      const interrupted = new Deferred<undefined>();
      vm.attach(ports(PORT, 1), {
        name: 'said',
        read: () => 0,
        write: (_offset, _size, value) => {
          said.push(value);
          if (value === READY) event.signal();
          else interrupted.resolve(undefined);
        },
      });
      assert.equal(await file.ioctl(Ioctl.START_VM), 0);
      await interrupted.promise;
      assert.deepEqual(said, [READY, VECTOR]);
      assert.deepEqual(vm.inspection.interrupts().messages, []);
      request.set('flags', 1);
      assert.equal(await file.ioctl(Ioctl.IRQFD, request.address), 0);
      event.signal();
      assert.equal(event.read(), 1n);
    } finally {
      await device.unload();
      await serviceVm.close();
      event.close();
    }
    assert.equal(descriptors(), before);
  },
);
