/**
 * SplitQueue: the split virtqueue: a table of descriptors, a ring of available chains that the
 * driver writes, and a ring of used ones that the device writes.
 *
 * Called by: VirtioState, which checks the set-up with `splitProblem` first; the device, as its
 * Virtqueue.
 *
 * Source: virtio 1.2, section 2.7.
 */

import { DESCRIPTOR_BYTES, DescriptorFlag, type GuestBuffer } from './guest-buffer.js';
import type { QueuePositions } from './queue-view.js';
import type { RingMemory } from './ring-memory.js';
import { passes, RingQueue, type QueueOptions, type QueueSetup } from './ring-queue.js';

// Offsets in both rings, after flags of 16 bits. Behind the entries is the event index, 16 bits.
const INDEX = 2;
const RING = 4;
/** Bytes of an entry of the available ring, and of the used one. */
const AVAILABLE_BYTES = 2;
const USED_BYTES = 8;
/** In the available ring: the driver wants no interrupts. */
const NO_INTERRUPT = 1;
/** In the used ring: the device wants no notifications. */
const NO_NOTIFY = 1;
const U16 = 0xffff;

/** What is wrong with the set-up, as the end of "was enabled with …". Undefined if it is right. */
export function splitProblem(memory: RingMemory, setup: QueueSetup): string | undefined {
  const { size, descriptors, driver, device } = setup;
  if (!Number.isInteger(Math.log2(size))) return `a size of ${size}, not a power of two`;
  const areas: readonly (readonly [name: string, address: number, bytes: number, alignment: number])[] = [
    ['descriptor area', descriptors, size * DESCRIPTOR_BYTES, 16],
    ['driver area', driver, RING + size * AVAILABLE_BYTES + 2, 2],
    ['device area', device, RING + size * USED_BYTES + 2, 4],
  ];
  for (const [name, address, bytes, alignment] of areas)
    if (!memory.contains(address, bytes) || address % alignment !== 0)
      return `its ${name} at 0x${address.toString(16)}, which must be ${bytes} bytes of RAM aligned to ${alignment}`;
  return undefined;
}

export class SplitQueue extends RingQueue {
  readonly #setup: QueueSetup;
  /** Index of the next available entry. */
  #next = 0;
  /** The used ring's index, including entries that are not published yet. */
  #used = 0;
  /** The used ring's index at the last decision about an interrupt. */
  #signalled = 0;
  /** The used ring's flags. */
  #flags = 0;

  constructor(setup: QueueSetup, options: QueueOptions) {
    super(setup, options);
    this.#setup = setup;
  }

  get positions(): QueuePositions {
    return { next: this.#next, used: this.#used };
  }

  protected take(buffer: GuestBuffer): boolean {
    const { memory, size } = this;
    const { driver, descriptors } = this.#setup;
    if (this.#pending() === 0) {
      this.#askForNotification();
      if (this.#pending() === 0) return false;
    }
    this.#askForNone();
    if (this.#pending() > size) {
      this.corrupt(`the driver's index is ${this.#pending()} ahead, with ${size} entries`);
      return false;
    }
    const head = memory.read16(driver + RING + (this.#next % size) * AVAILABLE_BYTES);
    this.#next = (this.#next + 1) & U16;
    buffer.id = head;
    const problem = this.#collect(buffer, 'table', descriptors, size, head);
    if (problem !== undefined) this.corrupt(problem);
    return problem === undefined;
  }

  protected putUsed(buffer: GuestBuffer, writtenBytes: number): void {
    const { device } = this.#setup;
    const at = device + RING + (this.#used % this.size) * USED_BYTES;
    this.memory.write32(at, buffer.id);
    this.memory.write32(at + 4, writtenBytes);
    this.#used = (this.#used + 1) & U16;
  }

  /** The used ring's flags and index are one word. */
  protected publish(): void {
    this.memory.store32(this.#setup.device, this.#flags | (this.#used << 16));
  }

  protected wantsInterrupt(): boolean {
    const { driver, hasEventIndex } = this.#setup;
    const old = this.#signalled;
    this.#signalled = this.#used;
    this.memory.fence(this.#setup.device);
    if (hasEventIndex) return passes(this.memory.load16(driver + RING + this.size * 2), this.#used, old);
    return (this.memory.load16(driver) & NO_INTERRUPT) === 0;
  }

  protected addTable(buffer: GuestBuffer, table: number, count: number): string | undefined {
    return this.#collect(buffer, 'indirect', table, count, 0);
  }

  /**
   * Follows the chain from `head` in the queue's table, or in an indirect one, of `count`
   * descriptors. Returns what is wrong, or undefined.
   */
  #collect(
    buffer: GuestBuffer,
    kind: 'table' | 'indirect',
    table: number,
    count: number,
    head: number,
  ): string | undefined {
    const { memory } = this;
    let index = head;
    for (let seen = 0; seen < count; seen++) {
      if (index >= count) return `a chain goes to descriptor ${index} of ${count}`;
      const at = table + index * DESCRIPTOR_BYTES;
      const flags = memory.read16(at + 12);
      if (kind === 'indirect' && (flags & DescriptorFlag.INDIRECT) !== 0)
        return 'an indirect table has an indirect table';
      const problem = this.add(buffer, at, flags);
      if (problem !== undefined) return problem;
      if ((flags & DescriptorFlag.NEXT) === 0) return undefined;
      index = memory.read16(at + 14);
    }
    return 'a chain is longer than its table: it has a loop';
  }

  /** How many entries the driver is ahead, modulo 2^16. */
  #pending(): number {
    return (this.memory.load16(this.#setup.driver + INDEX) - this.#next) & U16;
  }

  #askForNotification(): void {
    const { device, hasEventIndex } = this.#setup;
    if (hasEventIndex) this.memory.write16(device + RING + this.size * USED_BYTES, this.#next);
    else if (this.#flags !== 0) {
      this.#flags = 0;
      this.publish();
    }
    this.memory.fence(device);
  }

  /**
   * With an event index no store is needed: the driver notifies only when it passes that index, and
   * it has passed the last one.
   */
  #askForNone(): void {
    if (this.#setup.hasEventIndex || this.#flags !== 0) return;
    this.#flags = NO_NOTIFY;
    this.publish();
  }
}
