/**
 * PackedQueue: the packed virtqueue: one ring of descriptors, which the driver makes available and
 * the device overwrites when it has used them.
 *
 * Called by: VirtioState, which checks the set-up with `packedProblem` first; the device.
 *
 * A descriptor's flags say for which lap of the ring they are meant. Here positions are counted
 * without end: entry `position % size` in lap `floor(position / size)`.
 *
 * Source: virtio 1.2, section 2.8.
 */

import { DESCRIPTOR_BYTES, DescriptorFlag, type GuestBuffer } from './guest-buffer.js';
import type { QueuePositions } from './queue-view.js';
import type { RingMemory } from './ring-memory.js';
import { RingQueue, type QueueOptions, type QueueSetup } from './ring-queue.js';

/** Bits of a descriptor's flags. */
const AVAILABLE = 1 << 7;
const USED = 1 << 15;
/** The word of a descriptor that holds the buffer ID and, in its upper half, the flags. */
const FLAGS_SHIFT = 16;
const ID_AND_FLAGS = 12;
/** Values of the event suppression structure's flags. Its first half is an offset and a lap. */
const Events = { ENABLE: 0, DISABLE: 1, AT_DESCRIPTOR: 2 } as const;
const EVENTS_BYTES = 4;
const LAP_SHIFT = 15;
const OFFSET = 0x7fff;
const U16 = 0xffff;

/** What is wrong with the set-up, or undefined. */
export function packedProblem(memory: RingMemory, setup: QueueSetup): string | undefined {
  const { size, descriptors, driver, device } = setup;
  const areas: readonly (readonly [name: string, address: number, bytes: number, alignment: number])[] = [
    ['descriptor area', descriptors, size * DESCRIPTOR_BYTES, 16],
    ['driver area', driver, EVENTS_BYTES, 4],
    ['device area', device, EVENTS_BYTES, 4],
  ];
  for (const [name, address, bytes, alignment] of areas)
    if (!memory.contains(address, bytes) || address % alignment !== 0)
      return `its ${name} at 0x${address.toString(16)}, which must be ${bytes} bytes of RAM aligned to ${alignment}`;
  return undefined;
}

export class PackedQueue extends RingQueue {
  readonly #setup: QueueSetup;
  /** Position of the next available descriptor. */
  #next = 0;
  /** Position of the next used descriptor. */
  #used = 0;
  /** `#used` at the last decision about an interrupt. */
  #signalled = 0;
  /**
   * Whether the driver was asked to notify of new buffers, by a value of `Events`. At first it is.
   */
  #isAsking = true;
  /** Where `publish` writes an ID and flags. Undefined: no buffer waits for it. */
  #firstAt: number | undefined;
  #firstIdAndFlags = 0;

  constructor(setup: QueueSetup, options: QueueOptions) {
    super(setup, options);
    this.#setup = setup;
  }

  get positions(): QueuePositions {
    return { next: this.#next, used: this.#used };
  }

  protected take(buffer: GuestBuffer): boolean {
    if (!this.#isAvailable()) {
      this.#askForNotification();
      if (!this.#isAvailable()) return false;
    }
    this.#askForNone();
    const problem = this.#collect(buffer);
    if (problem !== undefined) this.corrupt(problem);
    return problem === undefined;
  }

  protected putUsed(buffer: GuestBuffer, writtenBytes: number): void {
    const at = this.#address(this.#used);
    const lap = this.#lap(this.#used) === 1 ? AVAILABLE | USED : 0;
    const flags = lap | (writtenBytes > 0 ? DescriptorFlag.WRITE : 0);
    this.memory.write32(at + 8, writtenBytes);
    const idAndFlags = buffer.id | (flags << FLAGS_SHIFT);
    if (this.#firstAt === undefined) {
      this.#firstAt = at + ID_AND_FLAGS;
      this.#firstIdAndFlags = idAndFlags;
    } else {
      this.memory.store32(at + ID_AND_FLAGS, idAndFlags);
    }
    this.#used += buffer.entries;
  }

  /**
   * Stores the first descriptor's flags last: a driver that sees them finds those after it
   * complete.
   */
  protected publish(): void {
    if (this.#firstAt !== undefined) this.memory.store32(this.#firstAt, this.#firstIdAndFlags);
    this.#firstAt = undefined;
  }

  protected wantsInterrupt(): boolean {
    const old = this.#signalled;
    this.#signalled = this.#used;
    this.memory.fence(this.#setup.device);
    const events = this.memory.load32(this.#setup.driver);
    const flags = (events >>> FLAGS_SHIFT) & 3;
    if (flags !== Events.AT_DESCRIPTOR || !this.#setup.hasEventIndex) return flags !== Events.DISABLE;
    // The lap is given by its lowest bit: this one or the one before.
    const lap = Math.floor(this.#used / this.size);
    const isThisLap = (events & U16) >>> LAP_SHIFT === this.#lap(this.#used);
    const event = (isThisLap ? lap : lap - 1) * this.size + (events & OFFSET);
    return event >= old && event < this.#used;
  }

  protected addTable(buffer: GuestBuffer, table: number, count: number): string | undefined {
    for (let index = 0; index < count; index++) {
      const at = table + index * DESCRIPTOR_BYTES;
      // Of the flags of a table's descriptor only WRITE is defined.
      const problem = this.add(buffer, at, this.memory.read16(at + 14) & DescriptorFlag.WRITE);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  /** Collects the descriptors of one buffer. Returns what is wrong, or undefined. */
  #collect(buffer: GuestBuffer): string | undefined {
    for (let entries = 1; entries <= this.size; entries++) {
      const at = this.#address(this.#next++);
      const idAndFlags = this.memory.load32(at + ID_AND_FLAGS);
      const flags = idAndFlags >>> FLAGS_SHIFT;
      if ((flags & DescriptorFlag.INDIRECT) !== 0 && entries > 1) return 'an indirect descriptor is part of a chain';
      const problem = this.add(buffer, at, flags);
      if (problem !== undefined) return problem;
      if ((flags & DescriptorFlag.NEXT) !== 0) continue;
      buffer.id = idAndFlags & U16;
      buffer.entries = entries;
      return undefined;
    }
    return 'a chain is longer than its ring';
  }

  #isAvailable(): boolean {
    const flags = this.memory.load32(this.#address(this.#next) + ID_AND_FLAGS) >>> FLAGS_SHIFT;
    const lap = this.#lap(this.#next);
    return (flags & AVAILABLE) / AVAILABLE === lap && (flags & USED) / USED !== lap;
  }

  #askForNotification(): void {
    const { device, hasEventIndex } = this.#setup;
    if (hasEventIndex) this.#askAtNext();
    else if (!this.#isAsking) {
      this.#isAsking = true;
      this.memory.store32(device, Events.ENABLE << FLAGS_SHIFT);
    }
    this.memory.fence(device);
  }

  /**
   * With an event index no store is needed: the driver has passed the position that it was asked
   * for. Only the first time ENABLE, the state after the set-up, has to be replaced.
   */
  #askForNone(): void {
    if (!this.#isAsking) return;
    if (this.#setup.hasEventIndex) this.#askAtNext();
    else this.memory.store32(this.#setup.device, Events.DISABLE << FLAGS_SHIFT);
    this.#isAsking = false;
  }

  #askAtNext(): void {
    const at = (this.#next % this.size) | (this.#lap(this.#next) << LAP_SHIFT);
    this.memory.store32(this.#setup.device, at | (Events.AT_DESCRIPTOR << FLAGS_SHIFT));
  }

  #address(position: number): number {
    return this.#setup.descriptors + (position % this.size) * DESCRIPTOR_BYTES;
  }

  /** The bit that stands for the lap of a position: 1 in the first lap. */
  #lap(position: number): 0 | 1 {
    return Math.floor(position / this.size) % 2 === 0 ? 1 : 0;
  }
}
