/**
 * RingMemory: a virtio device's access to guest RAM: the words of its rings, and copies of its
 * buffers. Nothing outside of RAM is touched, and nothing at all while the transport forbids it.
 *
 * Called by: SplitQueue, PackedQueue and GuestBuffer. Callers must check ranges with `contains`
 * before they load or store words.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * Memory that is remote (GuestMemory.isRemote) is not mapped here: each access is a message to the
 * process that has it, and messages are performed in their order.
 *
 * Ordering: the driver publishes buffers by a plain store of an index or of flags. The device loads
 * that word atomically before it reads what it covers. It publishes used buffers by the atomic
 * store of the word that covers them, after plain stores. Where either side announces that it wants
 * to be notified and then looks once more, a store must not pass the later load: `fence` is between
 * the two. The guest's barriers are the processor's own under a hypervisor that runs its code
 * directly. The embedded core executes them as nothing, which suffices on processors that keep
 * stores in order (x86).
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import { SharedWords } from '../../sync/shared-words.js';

export interface RingMemoryOptions {
  readonly memory: GuestMemory;
  /** Whether the device may access memory now, e.g. is a bus master. */
  readonly isAllowed: () => boolean;
}

export class RingMemory {
  readonly isAllowed: () => boolean;
  /** The RAM itself. */
  readonly ram: GuestMemory;
  readonly #memory: GuestMemory;
  readonly #words: SharedWords;
  /** Where guest address 0 is in the buffer of `#words`, in bytes. */
  readonly #base: number;

  constructor({ memory, isAllowed }: RingMemoryOptions) {
    this.isAllowed = isAllowed;
    this.ram = this.#memory = memory;
    this.#words = new SharedWords(memory.handle.buffer);
    this.#base = memory.handle.byteOffset;
  }

  /** Whether all of these bytes are RAM. False for an address above 2^53. */
  contains(address: number, length: number): boolean {
    return this.#memory.contains(address, length);
  }

  /** `address` of a word: a multiple of 4. Unsigned. */
  load32(address: number): number {
    if (this.#memory.isRemote(address)) return this.#memory.readU32(address);
    return this.#words.load(this.#index(address)) >>> 0;
  }

  /** `address`: a multiple of 2. */
  load16(address: number): number {
    return (this.load32(address - (address % 4)) >>> (8 * (address & 2))) & 0xffff;
  }

  /** A plain load of a u64. Values above 2^53 lose bits: they are no addresses. */
  read64(address: number): number {
    return this.#memory.readU32(address) + this.#memory.readU32(address + 4) * 2 ** 32;
  }

  /** A plain load. */
  read32(address: number): number {
    return this.#memory.readU32(address);
  }

  /** A plain load. */
  read16(address: number): number {
    return this.#memory.readU16(address);
  }

  /** Publishes the stores before it. `address`: a multiple of 4. */
  store32(address: number, value: number): void {
    if (this.#memory.isRemote(address)) {
      this.#memory.writeU32(address, value);
      return;
    }
    this.#words.store(this.#index(address), value);
    this.#memory.written(address, 4);
  }

  /** A plain store. `address`: a multiple of 4. */
  write32(address: number, value: number): void {
    if (this.#memory.isRemote(address)) {
      this.#memory.writeU32(address, value);
      return;
    }
    this.#words.storeRelaxed(this.#index(address), value);
    this.#memory.written(address, 4);
  }

  /** A plain store. */
  write16(address: number, value: number): void {
    this.#memory.writeU16(address, value);
  }

  /**
   * A full fence: no access after it is performed before one ahead of it. `address`: any word of
   * RAM.
   */
  fence(address: number): void {
    if (this.#memory.isRemote(address)) return;
    this.#words.or(this.#index(address & ~3), 0);
  }

  /** Copies from RAM to `target`. Returns false, and copies nothing, if it may not. */
  copyFrom(address: number, target: Uint8Array): boolean {
    if (!this.isAllowed() || !this.contains(address, target.length)) return false;
    this.#memory.readInto(address, target);
    return true;
  }

  /** Copies `source` to RAM. Returns false, and copies nothing, if it may not. */
  copyTo(address: number, source: Uint8Array): boolean {
    if (!this.isAllowed() || !this.contains(address, source.length)) return false;
    this.#memory.write(address, source);
    return true;
  }

  #index(address: number): number {
    // In 32 bits: RAM and the buffer that has it end below 4 GiB (MAX_MEMORY_MIB).
    return (this.#base + address) >>> 2;
  }
}
