/**
 * RingQueue: the base of the split and the packed ring. It keeps the buffers that the device has,
 * batches of used ones, and the end of a queue.
 *
 * Called by: the device, as its Virtqueue; VirtioState, for `positions`; ActiveDriver, for `stop`.
 * Extended by: SplitQueue, PackedQueue.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 */

import { DESCRIPTOR_BYTES, DescriptorFlag, GuestBuffer } from './guest-buffer.js';
import type { QueuePositions } from './queue-view.js';
import type { RingMemory } from './ring-memory.js';
import type { UsedBuffer, Virtqueue, VirtqueueBuffer } from './virtqueue.js';

/** How the driver has set up a queue. Addresses: up to 2^64, exact up to 2^53. */
export interface QueueSetup {
  readonly index: number;
  readonly size: number;
  /** Addresses of the descriptor area, the driver area and the device area. */
  readonly descriptors: number;
  readonly driver: number;
  readonly device: number;
  /** The driver has accepted VIRTIO_F_RING_EVENT_IDX. */
  readonly hasEventIndex: boolean;
}

export interface QueueOptions {
  readonly memory: RingMemory;
  /** Interrupts the driver for this queue. */
  readonly interrupt: () => void;
  /** The ring is corrupt. The queue has stopped. */
  readonly onCorrupt: (reason: string) => void;
}

/** Indices of rings have 16 bits and wrap. */
const U16 = 0xffff;

export abstract class RingQueue implements Virtqueue {
  readonly index: number;
  readonly size: number;
  protected readonly memory: RingMemory;
  readonly #options: QueueOptions;
  /** Buffers that the device does not have, to be used again. */
  readonly #free: GuestBuffer[] = [];
  /** Entries of the ring that the device has. */
  #takenEntries = 0;
  #isStopped = false;
  /** Calls of `batch` that have not ended: one may be inside another. */
  #batches = 0;
  /** Whether buffers were published since the last decision about an interrupt. */
  #isDue = false;
  readonly #hasStopped = (): boolean => this.#isStopped;

  constructor({ index, size }: QueueSetup, options: QueueOptions) {
    this.index = index;
    this.size = size;
    this.memory = options.memory;
    this.#options = options;
  }

  /** How far the device is, for the operator. */
  abstract get positions(): QueuePositions;

  /**
   * Collects the next available buffer into `buffer`. Returns false if none is available, after
   * asking the driver to notify the device of the next one, and if the ring is corrupt (`corrupt`).
   */
  protected abstract take(buffer: GuestBuffer): boolean;
  /** Gives a buffer back. The driver sees it with `publish`. */
  protected abstract putUsed(buffer: GuestBuffer, writtenBytes: number): void;
  /** Shows the driver the buffers since the last call, at least one, all of them at once. */
  protected abstract publish(): void;
  /** Whether the driver wants an interrupt for the buffers given back since the last call. */
  protected abstract wantsInterrupt(): boolean;

  pop(): VirtqueueBuffer | undefined {
    if (this.#isStopped || !this.memory.isAllowed()) return undefined;
    const buffer = this.#free.pop() ?? new GuestBuffer(this.memory, this.#hasStopped);
    buffer.begin();
    if (!this.take(buffer)) {
      this.#free.push(buffer);
      return undefined;
    }
    this.#takenEntries += buffer.entries;
    if (this.#takenEntries > this.size) {
      this.corrupt('the driver makes more buffers available than the queue has entries');
      return undefined;
    }
    buffer.isTaken = true;
    return buffer;
  }

  push(buffer: VirtqueueBuffer, writtenBytes: number): void {
    if (this.#use(buffer, writtenBytes)) this.#publish();
  }

  pushAll(used: readonly UsedBuffer[]): void {
    let isAny = false;
    for (const { buffer, writtenBytes } of used) if (this.#use(buffer, writtenBytes)) isAny = true;
    if (isAny) this.#publish();
  }

  batch(act: () => void): void {
    this.#batches++;
    try {
      act();
    } finally {
      this.#batches--;
      if (this.#isDue && this.#batches === 0) this.#notify();
    }
  }

  /**
   * Called at a reset, when the driver disables the queue, and when the device needs a reset. From
   * then on the buffers that the device has carry no bytes, and giving them back has no effect.
   */
  stop(): void {
    this.#isStopped = true;
  }

  protected corrupt(reason: string): void {
    if (this.#isStopped) return;
    this.stop();
    this.#options.onCorrupt(`queue ${this.index}: ${reason}`);
  }

  /**
   * Adds the segment of a descriptor, or those of its indirect table. Returns what is wrong, or
   * undefined.
   */
  protected add(buffer: GuestBuffer, descriptor: number, flags: number): string | undefined {
    const { memory } = this;
    const address = memory.read64(descriptor);
    const length = memory.read32(descriptor + 8);
    if ((flags & DescriptorFlag.INDIRECT) === 0) return buffer.add(address, length, flags);
    if ((flags & DescriptorFlag.NEXT) !== 0) return 'a descriptor is indirect and has a next one';
    if (length === 0 || length % DESCRIPTOR_BYTES !== 0) return `an indirect table has ${length} bytes`;
    if (!memory.contains(address, length)) return 'an indirect table is outside of RAM';
    return this.addTable(buffer, address, length / DESCRIPTOR_BYTES);
  }

  /** Adds the segments of an indirect table of `count` descriptors, all of them in RAM. */
  protected abstract addTable(buffer: GuestBuffer, table: number, count: number): string | undefined;

  /** Gives a buffer back without publishing it. Returns false if the driver does not get it. */
  #use(buffer: VirtqueueBuffer, writtenBytes: number): boolean {
    if (!(buffer instanceof GuestBuffer) || !buffer.isTaken) return false;
    buffer.isTaken = false;
    this.#takenEntries -= buffer.entries;
    this.#free.push(buffer);
    if (this.#isStopped || !this.memory.isAllowed()) return false;
    this.putUsed(buffer, Math.min(writtenBytes, buffer.writableBytes));
    return true;
  }

  #publish(): void {
    this.publish();
    this.#isDue = true;
    if (this.#batches === 0) this.#notify();
  }

  #notify(): void {
    this.#isDue = false;
    if (!this.#isStopped && this.wantsInterrupt()) this.#options.interrupt();
  }
}

/**
 * Whether an index that goes from `old` to `next` passes `event`, all modulo 2^16: virtio 1.2,
 * section 2.7.7.
 */
export function passes(event: number, next: number, old: number): boolean {
  return ((next - event - 1) & U16) < ((next - old) & U16);
}
