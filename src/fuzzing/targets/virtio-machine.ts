/**
 * VirtioMachine: one virtio device over MMIO, with a little RAM between two fences and what the
 * device needs: a disk in memory, a network that sends frames back, a console that echoes, a clock.
 *
 * Called by: virtio-programs.ts.
 */

import { host } from '../../host/current.js';
import type { DiskImage } from '../../device-model/disk/disk-image.js';
import type { NetworkPort, NetworkReceiver } from '../../device-model/network/network-port.js';
import { VirtioBlock } from '../../device-model/virtio/block/virtio-block.js';
import type { ConsoleBackend, ConsolePortHandle } from '../../device-model/virtio/console/console-backend.js';
import { VirtioConsole } from '../../device-model/virtio/console/virtio-console.js';
import { EntropyDevice } from '../../device-model/virtio/entropy/entropy-device.js';
import { VirtioNet } from '../../device-model/virtio/net/virtio-net.js';
import type { VirtioDevice } from '../../device-model/virtio/virtio-device.js';
import { VirtioMmio } from '../../device-model/virtio/virtio-mmio.js';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { expect } from '../fuzz-target.js';
import type { FuzzClock } from './fuzz-clock.js';

export const RAM_BYTES = 0x2_0000;
/** Bytes before and after the RAM that nothing may write to. */
const FENCE_BYTES = 0x1000;
const FENCE = 0xa5;
const DISK_BYTES = 64 * 512;
/** Bytes that the console's backend takes at once. */
const ECHO_BYTES = 64;

/** The kinds of devices. */
export const VIRTIO_KINDS = ['block', 'read-only block', 'net', 'entropy', 'console'] as const;
export type VirtioKind = (typeof VIRTIO_KINDS)[number];

export class VirtioMachine {
  readonly device: VirtioDevice;
  readonly mmio: VirtioMmio;
  readonly memory: GuestMemory;
  /** The level of the interrupt line. */
  isInterrupting = false;
  readonly #ram: SharedArrayBuffer;
  readonly #disk: MemoryDisk | undefined;
  readonly #network = new Mirror();
  readonly #console = new Echo();

  /** `packed`: whether the device offers the packed ring (VirtioMmioOptions). */
  constructor(kind: VirtioKind, { clock, packed }: { readonly clock: FuzzClock; readonly packed: boolean }) {
    this.#ram = new SharedArrayBuffer(RAM_BYTES + 2 * FENCE_BYTES);
    this.memory = new GuestMemory({ buffer: this.#ram, byteOffset: FENCE_BYTES, byteLength: RAM_BYTES });
    for (const fence of this.#fences()) fence.fill(FENCE);
    if (kind === 'net') this.device = new VirtioNet({ port: this.#network, mac: '52:54:00:12:34:56' });
    else if (kind === 'console')
      this.device = new VirtioConsole({ console: this.#console, ports: [{ name: 'port', backend: new Echo() }] });
    else if (kind === 'entropy') this.device = new EntropyDevice({ source: (bytes) => bytes.fill(1), clock });
    else {
      this.#disk = new MemoryDisk(kind === 'read-only block');
      this.device = new VirtioBlock({ image: this.#disk, queues: 2 });
    }
    const line = { set: (high: boolean) => void (this.isInterrupting = high) };
    this.mmio = new VirtioMmio({ device: this.device, memory: this.memory, line, packed });
  }

  /** Operations on the disk that have not ended. */
  get pending(): number {
    return this.#disk?.pending ?? 0;
  }

  /** A frame, or bytes of the console, arrive that nothing sent. */
  receive(bytes: Uint8Array): void {
    this.#network.deliver(bytes);
    this.#console.type(bytes);
  }

  /** Throws a Violation if a byte outside of RAM was written. */
  checkFences(): void {
    const isWhole = this.#fences().every((fence) => fence.every((byte) => byte === FENCE));
    expect(isWhole, 'a byte outside of RAM was written');
  }

  #fences(): readonly Uint8Array[] {
    const before = new GuestMemory({ buffer: this.#ram, byteOffset: 0, byteLength: FENCE_BYTES });
    const after = new GuestMemory({
      buffer: this.#ram,
      byteOffset: FENCE_BYTES + RAM_BYTES,
      byteLength: FENCE_BYTES,
    });
    return [before.bytes, after.bytes];
  }
}

/** Its operations end in a later turn. It checks that the device keeps the rules of DiskImage. */
class MemoryDisk implements DiskImage {
  readonly size = DISK_BYTES;
  readonly canDeallocate = true;
  readonly isReadOnly: boolean;
  pending = 0;
  readonly #bytes = new Uint8Array(DISK_BYTES);

  constructor(isReadOnly: boolean) {
    this.isReadOnly = isReadOnly;
  }

  read(position: number, target: Uint8Array): Promise<void> {
    return this.#operate(position, target.length, () => {
      target.set(this.#bytes.subarray(position, position + target.length));
    });
  }

  write(position: number, source: Uint8Array): Promise<void> {
    expect(!this.isReadOnly, 'a write to a disk that is read-only');
    return this.#operate(position, source.length, () => this.#bytes.set(source, position));
  }

  writeZeroes(position: number, length: number): Promise<void> {
    expect(!this.isReadOnly, 'zeroes for a disk that is read-only');
    return this.#operate(position, length, () => this.#bytes.fill(0, position, position + length));
  }

  discard(position: number, length: number): Promise<void> {
    return this.writeZeroes(position, length);
  }

  flush(): Promise<void> {
    return this.#operate(0, 0, () => undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #operate(position: number, length: number, act: () => void): Promise<void> {
    const isInside = position >= 0 && position + length <= DISK_BYTES && position % 512 === 0 && length % 512 === 0;
    expect(isInside, () => `${length} bytes at ${position} of a disk of ${DISK_BYTES}`);
    this.pending++;
    await host.turn();
    act();
    this.pending--;
  }
}

/** Sends each frame back. */
class Mirror implements NetworkPort {
  #receiver: NetworkReceiver | undefined;

  connect(receiver: NetworkReceiver): void {
    this.#receiver = receiver;
    receiver.setLink(true);
  }

  send(frame: Uint8Array): void {
    this.deliver(frame.slice());
  }

  deliver(frame: Uint8Array): void {
    this.#receiver?.receive(frame);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Sends characters back, as far as the guest takes them. It takes a part of what is long. */
class Echo implements ConsoleBackend {
  #port: ConsolePortHandle | undefined;
  /** What the guest has not taken. */
  #rest = new Uint8Array(0);

  connect(port: ConsolePortHandle): void {
    this.#port = port;
    port.setOpen(true);
  }

  write(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, ECHO_BYTES);
    if (taken < bytes.length) void host.turn().then(() => this.#port?.resume());
    const copy = bytes.slice(0, taken);
    // Not in the guest's own access, as the interface asks.
    void host.turn().then(() => this.type(copy));
    return taken;
  }

  room(): void {
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    void host.turn().then(() => this.type(rest));
  }

  /** Characters for the guest. Further ones are lost while it has not taken the last ones. */
  type(bytes: Uint8Array): void {
    const taken = this.#port?.receive(bytes) ?? 0;
    expect(taken >= 0 && taken <= bytes.length, () => `${taken} of ${bytes.length} characters were taken`);
    if (taken < bytes.length) this.#rest = bytes.slice(taken, taken + ECHO_BYTES);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
