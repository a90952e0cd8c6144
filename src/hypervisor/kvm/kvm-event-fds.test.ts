/** Writes that the kernel completes by an eventfd. What is listed as an access left the guest. */

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { MappedMemory } from '../../acrn-hsm/address-space.js';
import { HsmDevice } from '../../acrn-hsm/hsm-device.js';
import { createVm, IoctlArgument, REAL_MODE, vcpuRegs } from '../../acrn-hsm/ioctl-arguments.js';
import { ExtensionIoctl, Ioctl } from '../../acrn-hsm/ioctl-codes.js';
import { LinuxEvents } from '../../acrn-hsm/linux-events.js';
import { IOEVENTFD } from '../../acrn-hsm/struct-layout.js';
import { ports } from '../../hsm/address-range.js';
import { PAGE_BYTES } from '../../io-request/layout.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { ASYNC_ELEMENT_BYTES, AsyncIo } from '../async-io.js';
import { createRingPage } from '../../sync/shared-ring.js';
import { RingId, type AsyncIoDescriptor } from '../async-io-hypercalls.js';
import { KvmHypervisor } from './kvm-hypervisor.js';
import { LoneVcpu } from './fixtures/lone-vcpu.js';
import { SLOWNESS, whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
const PORT = 0x500;
const END = 0x501;
const MMIO = 0xfed0_0000;
const DATA = 0x2000;
/** A flat data segment, with which real-mode code reaches 4 GiB. */
const FLAT = { selector: 0, base: 0, limit: 0xffff_ffff };

// Real-mode code.
const toPort = (port: number): number[] => [0xba, port & 0xff, port >> 8];
const OUT = { 1: [0xee], 2: [0xef], 4: [0x66, 0xef] } as const;
/** mov dx, END; out dx, al; hlt; jmp to hlt */
const AT_END = [...toPort(END), ...OUT[1], 0xf4, 0xeb, 0xfd];
const END_LINE = 'out 0x501/1 = 0x7';
const MOV_AL_7 = [0xb0, 0x07];
const address = (to: number): number[] => [to & 0xff, (to >> 8) & 0xff, (to >> 16) & 0xff, to >>> 24];
/** mov [to], al; ax; eax */
const STORE = {
  1: (to: number) => [0x67, 0xa2, ...address(to)],
  2: (to: number) => [0x67, 0xa3, ...address(to)],
  4: (to: number) => [0x67, 0x66, 0xa3, ...address(to)],
} as const;

let lone: LoneVcpu | undefined;
afterEach(() => {
  lone?.close();
  lone = undefined;
});

interface Prepared {
  readonly one: LoneVcpu;
  readonly asyncIo: AsyncIo;
  readonly events: LinuxEvents;
}

/** `code` runs with AL = 7 at its end. */
async function prepare(code: readonly number[]): Promise<Prepared> {
  const events = await LinuxEvents.load();
  assert.ok(events !== undefined);
  lone = await LoneVcpu.create([...code, ...AT_END], { ds: FLAT });
  const asyncIo = new AsyncIo();
  asyncIo.completed = lone.machine.events;
  return { one: lone, asyncIo, events };
}

/** Assigns an event to the writes. */
function assign({ asyncIo, events }: Prepared, descriptor: Omit<AsyncIoDescriptor, 'handle'>) {
  const event = events.create();
  const assigned = { ...descriptor, handle: event.fd + 1, fd: event.fd };
  asyncIo.assignAsyncIo(assigned);
  return { event, assigned };
}

describe('a write that the kernel completes', { skip }, () => {
  test('signals the eventfd of a port at each size, and makes no exit', async () => {
    const prepared = await prepare([...MOV_AL_7, ...toPort(PORT), ...OUT[1], ...OUT[2], ...OUT[4]]);
    const { event } = assign(prepared, { isPort: true, address: BigInt(PORT) });
    assert.deepEqual(prepared.one.runUntil(1), [END_LINE]);
    assert.equal(event.read(), 3n);
    event.close();
  });

  test('signals that of an address; reads and other addresses are requests', async () => {
    const prepared = await prepare([
      ...[...MOV_AL_7, ...STORE[1](MMIO), ...STORE[2](MMIO), ...STORE[4](MMIO)],
      // mov al, [MMIO]; then an address in the range of the write of four bytes.
      ...[0x67, 0xa0, ...address(MMIO), ...MOV_AL_7, ...STORE[1](MMIO + 1)],
    ]);
    const { event } = assign(prepared, { isPort: false, address: BigInt(MMIO) });
    assert.deepEqual(prepared.one.runUntil(3), ['load 0xfed00000/1 = 0x1', 'store 0xfed00001/1 = 0x7', END_LINE]);
    assert.equal(event.read(), 3n);
    event.close();
  });

  test('has the value that was asked for; each element of a string instruction is compared', async () => {
    // mov si, DATA; mov cx, 4; mov dx, PORT; cld; rep outsb
    const prepared = await prepare([
      ...[0xbe, 0x00, 0x20, 0xb9, 0x04, 0x00, ...toPort(PORT), 0xfc, 0xf3, 0x6e, ...MOV_AL_7],
    ]);
    prepared.one.machine.memory.write(DATA, Uint8Array.of(0xb, 0xc, 0xb, 0xd));
    const first = assign(prepared, { isPort: true, address: BigInt(PORT), data: 0xbn });
    const second = assign(prepared, { isPort: true, address: BigInt(PORT), data: 0xdn });
    assert.deepEqual(prepared.one.runUntil(2), ['out 0x500/1 = 0xc', END_LINE]);
    assert.deepEqual([first.event.read(), second.event.read()], [2n, 1n]);
    first.event.close();
    second.event.close();
  });

  test('is an exit again without its descriptor, whose eventfd may be closed before', async () => {
    const prepared = await prepare([...MOV_AL_7, ...toPort(PORT), ...OUT[1]]);
    const { event, assigned } = assign(prepared, { isPort: true, address: BigInt(PORT) });
    event.close();
    prepared.asyncIo.deassignAsyncIo(assigned);
    assert.deepEqual(prepared.one.runUntil(2), ['out 0x500/1 = 0x7', END_LINE]);
  });

  test('is an exit again when another ring is set up', async () => {
    const prepared = await prepare([...MOV_AL_7, ...toPort(PORT), ...OUT[1]]);
    const { event } = assign(prepared, { isPort: true, address: BigInt(PORT) });
    prepared.asyncIo.setupRing(RingId.ASYNC_IO, createRingPage(ASYNC_ELEMENT_BYTES));
    assert.deepEqual(prepared.one.runUntil(2), ['out 0x500/1 = 0x7', END_LINE]);
    assert.equal(event.read(), 0n);
    event.close();
  });

  test('is an exit if the descriptor is no eventfd', async () => {
    const prepared = await prepare([...MOV_AL_7, ...toPort(PORT), ...OUT[1]]);
    prepared.asyncIo.assignAsyncIo({ isPort: true, address: BigInt(PORT), handle: 1, fd: 0 });
    assert.deepEqual(prepared.one.runUntil(2), ['out 0x500/1 = 0x7', END_LINE]);
  });
});

test('an ioeventfd of ACRN’s interface with ASYNCIO makes no exit', { skip, timeout: 60_000 * SLOWNESS }, async () => {
  const PIO = 1;
  const ASYNCIO = 8;
  const events = await LinuxEvents.load();
  assert.ok(events !== undefined);
  const serviceVm = new ServiceVm(new KvmHypervisor());
  const device = new HsmDevice(serviceVm, { memoryBytes: 1 << 20, hasExtensions: true });
  const memory = new MappedMemory();
  const file = device.open(memory, events);
  const event = events.create();
  try {
    assert.equal(
      await file.ioctl(Ioctl.CREATE_VM, createVm(memory, { ioreqBuf: memory.allocate(PAGE_BYTES) }).address),
      0,
    );
    const { vm } = file;
    assert.ok(vm !== undefined);
    const ring = memory.allocate(PAGE_BYTES);
    memory.write(ring, createRingPage(ASYNC_ELEMENT_BYTES));
    assert.equal(await file.ioctl(ExtensionIoctl.SETUP_ASYNCIO, ring), 0);
    const request = new IoctlArgument(memory, IOEVENTFD)
      .set('fd', event.fd)
      .set('flags', PIO | ASYNCIO)
      .set('addr', PORT)
      .set('len', 2);
    assert.equal(await file.ioctl(Ioctl.IOEVENTFD, request.address), 0);
    // mov cx, 100; mov dx, PORT; out dx, al; loop to out
    const code = [0xb9, 100, 0, ...toPort(PORT), 0xee, 0xe2, 0xfd, ...AT_END];
    vm.hypercalls.memory.write(0x1000, Uint8Array.from(code));
    const registers = vcpuRegs(memory, { ...REAL_MODE, rip: 0x1000 });
    assert.equal(await file.ioctl(Ioctl.SET_VCPU_REGS, registers.address), 0);
    const ended = new Promise<void>((resolve) => {
      vm.attach(ports(END, 1), { name: 'end', read: () => 0, write: () => resolve() });
    });
    assert.equal(await file.ioctl(Ioctl.START_VM), 0);
    await ended;
    const { portAccesses, requests, asyncWrites } = vm.counters();
    assert.deepEqual({ portAccesses, requests, asyncWrites }, { portAccesses: 1, requests: 1, asyncWrites: 0 });
    assert.equal(event.read(), 100n);
  } finally {
    await device.unload();
    await serviceVm.close();
    event.close();
  }
});
