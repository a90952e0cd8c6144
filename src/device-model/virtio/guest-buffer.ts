/**
 * GuestBuffer: one buffer of a virtqueue: segments of guest RAM, those for the device to read
 * first.
 *
 * Called by: the queues, which collect its segments from descriptors; the device.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * Source: virtio 1.2, sections 2.6 and 2.7.5.
 */

import type { RingMemory } from './ring-memory.js';
import type { VirtqueueBuffer } from './virtqueue.js';

/**
 * Maximum number of segments, with those of an indirect table: the largest queue that a
 * VirtioDevice may have. A driver must not make a chain longer than its queue.
 */
export const MAX_SEGMENTS = 1024;

/** Bits of a descriptor's flags. */
export const DescriptorFlag = { NEXT: 1, WRITE: 2, INDIRECT: 4 } as const;
export const DESCRIPTOR_BYTES = 16;

export class GuestBuffer implements VirtqueueBuffer {
  /**
   * What the driver knows it by: the first descriptor's index (split), or the buffer ID (packed).
   */
  id = 0;
  /** Entries of the ring that it takes: 1 (split), or its descriptors (packed). */
  entries = 1;
  /** Whether the device has it: from RingQueue.pop until it is given back. */
  isTaken = false;
  readonly #memory: RingMemory;
  /** Whether the buffer's queue has stopped: its driver does not know the buffer any more. */
  readonly #isStopped: () => boolean;
  readonly #addresses: number[] = [];
  readonly #lengths: number[] = [];
  #count = 0;
  #readableCount = 0;
  #readableBytes = 0;
  #writableBytes = 0;

  constructor(memory: RingMemory, isStopped: () => boolean) {
    this.#memory = memory;
    this.#isStopped = isStopped;
  }

  get readableBytes(): number {
    return this.#readableBytes;
  }

  get writableBytes(): number {
    return this.#writableBytes;
  }

  /** Empties it. The queue then adds the segments of another buffer. */
  begin(): void {
    this.#count = this.#readableCount = this.#readableBytes = this.#writableBytes = 0;
  }

  /** Adds the segment of a descriptor. Returns what is wrong with it, or undefined. */
  add(address: number, length: number, flags: number): string | undefined {
    if (this.#count === MAX_SEGMENTS) return `a buffer has more than ${MAX_SEGMENTS} descriptors`;
    if (length === 0) return 'a descriptor has no bytes';
    if (!this.#memory.contains(address, length))
      return `a descriptor has ${length} bytes at 0x${address.toString(16)}, outside of RAM`;
    this.#addresses[this.#count] = address;
    this.#lengths[this.#count] = length;
    this.#count++;
    if ((flags & DescriptorFlag.WRITE) !== 0) this.#writableBytes += length;
    else if (this.#writableBytes > 0) return 'a descriptor to read follows one to write';
    else {
      this.#readableCount++;
      this.#readableBytes += length;
    }
    return undefined;
  }

  read(offset: number, target: Uint8Array): number {
    if (!this.isTaken || this.#isStopped()) return 0;
    return this.#copy(0, this.#readableCount, offset, target, (address, part) => this.#memory.copyFrom(address, part));
  }

  write(offset: number, source: Uint8Array): number {
    if (!this.isTaken || this.#isStopped()) return 0;
    return this.#copy(this.#readableCount, this.#count, offset, source, (address, part) =>
      this.#memory.copyTo(address, part),
    );
  }

  /** Copies between `bytes` and the segments `first` to `end`, from `offset` of them on. */
  #copy(
    first: number,
    end: number,
    offset: number,
    bytes: Uint8Array,
    copy: (address: number, part: Uint8Array) => boolean,
  ): number {
    let done = 0;
    let skip = offset;
    for (let segment = first; segment < end && done < bytes.length; segment++) {
      const length = this.#lengths[segment] as number;
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const count = Math.min(length - skip, bytes.length - done);
      if (!copy((this.#addresses[segment] as number) + skip, bytes.subarray(done, done + count))) break;
      done += count;
      skip = 0;
    }
    return done;
  }
}
