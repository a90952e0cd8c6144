/**
 * AddressSpace: the memory of the process that calls the ioctls. The argument of most ioctls is a
 * 64-bit address in it, and an unmapped one gives −EFAULT. A program that embeds /dev/acrn_hsm
 * implements the interface, or uses MappedMemory, which is made of byte arrays.
 *
 * Called by: the ioctls of this folder; acrn-programs/, for programs of other processes
 * (ForeignMemory implements it).
 *
 * Ordering: the bytes are a process's memory, read and written by its calls in the thread that
 * makes them. What another thread shares of it has an order of its own: a page of slots by each
 * slot's state, a ring by its offsets (sync/shared-ring.ts), the RAM as in
 * hypervisor/guest-memory.ts.
 */

/** Limit of the mappings of one MappedMemory. */
export const MAX_MAPPINGS = 4096;

export interface AddressSpace {
  /**
   * Copies from the caller. Returns false if an address is not mapped: `target` may be partly
   * overwritten then.
   */
  read(address: bigint, target: Uint8Array): boolean;
  /** Whether all bytes are mapped. */
  isMapped(address: bigint, bytes: bigint): boolean;
  /**
   * Copies to the caller. Returns false if an address is not mapped: a part may be written then.
   */
  write(address: bigint, source: Uint8Array): boolean;
  /**
   * Copies the caller's bytes at `address` to `target`, then maps `target` there instead of them.
   * From now on both sides use the same memory. Returns false if part of the bytes is not mapped,
   * or if the implementation cannot map there: each has limits of its own. The driver pins the
   * caller's pages for this. Here the shared memory belongs to the hypervisor, so the mapping
   * moves. `written` is called after the copy, and then after each write through the address space,
   * with an offset into `target`.
   */
  share(address: bigint, target: Uint8Array, written?: (offset: number, length: number) => void): boolean;
  /**
   * Calls `written` for the stores that the caller has made without this address space, if it can
   * find them. Called before an eventfd of the caller injects an interrupt (IRQFD).
   */
  collectWritten?(): void;
}

interface Mapping {
  /** Address of the first byte. */
  readonly start: bigint;
  readonly bytes: Uint8Array;
  readonly written?: ((offset: number, length: number) => void) | undefined;
}

const PAGE = 4096n;
/**
 * Where `allocate` begins. Low enough for a user address of x86-64, and so high that a null pointer
 * with an offset is not mapped.
 */
const FIRST_FREE = 0x7f00_0000_0000n;

export class MappedMemory implements AddressSpace {
  /** Disjoint, in order of addresses. */
  #mappings: readonly Mapping[] = [];
  #free = FIRST_FREE;

  /**
   * Puts bytes at an address. Throws RangeError if part of the range is mapped already or is no u64
   * address, or at MAX_MAPPINGS.
   */
  map(start: bigint, bytes: Uint8Array): void {
    const end = start + BigInt(bytes.length);
    const overlaps = this.#mappings.some((other) => start < endOf(other) && other.start < end);
    if (overlaps || start < 0n || end > 1n << 64n || this.#mappings.length >= MAX_MAPPINGS)
      throw new RangeError(`cannot map ${bytes.length} bytes at 0x${start.toString(16)}`);
    this.#mappings = sorted([...this.#mappings, { start, bytes }]);
  }

  /**
   * Maps new zeroed bytes behind all earlier allocations, page-aligned and with an unmapped page
   * behind them. Returns their address. Throws as `map` does.
   */
  allocate(length: number): bigint {
    const start = this.#free;
    this.map(start, sharedBytes(length));
    this.#free += ((BigInt(length) + PAGE - 1n) / PAGE + 1n) * PAGE;
    return start;
  }

  /**
   * The bytes themselves, if they are in one mapping. They are what is mapped there until `share`
   * maps other memory.
   */
  bytes(start: bigint, length: number): Uint8Array | undefined {
    const mapping = this.#find(start);
    if (mapping === undefined) return undefined;
    const offset = Number(start - mapping.start);
    return offset + length <= mapping.bytes.length ? mapping.bytes.subarray(offset, offset + length) : undefined;
  }

  read(address: bigint, target: Uint8Array): boolean {
    return this.#walk(address, target.length, (mapping, offset, at, length) =>
      target.set(mapping.bytes.subarray(offset, offset + length), at),
    );
  }

  isMapped(address: bigint, bytes: bigint): boolean {
    for (let at = address; at < address + bytes;) {
      const mapping = this.#find(at);
      if (mapping === undefined) return false;
      at = endOf(mapping);
    }
    return true;
  }

  write(address: bigint, source: Uint8Array): boolean {
    if (!this.#walk(address, source.length, () => undefined)) return false;
    return this.#walk(address, source.length, (mapping, offset, at, length) => {
      mapping.bytes.set(source.subarray(at, at + length), offset);
      mapping.written?.(offset, length);
    });
  }

  /** Returns false at MAX_MAPPINGS, too. */
  share(address: bigint, target: Uint8Array, written?: Mapping['written']): boolean {
    // It adds at most two: the new mapping, and one more piece of a mapping that it cuts in two.
    if (this.#mappings.length + 2 > MAX_MAPPINGS || !this.read(address, target)) return false;
    const end = address + BigInt(target.length);
    const kept = this.#mappings.flatMap((mapping) => [
      ...cut(mapping, mapping.start, address),
      ...cut(mapping, end, endOf(mapping)),
    ]);
    this.#mappings = sorted([...kept, { start: address, bytes: target, written }]);
    written?.(0, target.length);
    return true;
  }

  #find(address: bigint): Mapping | undefined {
    return this.#mappings.find((mapping) => address >= mapping.start && address < endOf(mapping));
  }

  /**
   * Calls back for each mapping that has a part of the range: `length` bytes at `offset` in the
   * mapping, which are at `at` in the range. Returns false if a byte is not mapped.
   */
  #walk(
    address: bigint,
    length: number,
    visit: (mapping: Mapping, offset: number, at: number, length: number) => void,
  ): boolean {
    for (let at = 0; at < length;) {
      const here = address + BigInt(at);
      const mapping = this.#find(here);
      if (mapping === undefined) return false;
      const offset = Number(here - mapping.start);
      const piece = Math.min(length - at, mapping.bytes.length - offset);
      visit(mapping, offset, at, piece);
      at += piece;
    }
    return true;
  }
}

/** New zeroed bytes that threads can share. */
export function sharedBytes(length: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(length));
}

/** The address behind the last byte. */
function endOf(mapping: Mapping): bigint {
  return mapping.start + BigInt(mapping.bytes.length);
}

/** The part of `mapping` in [from, to) as a mapping of its own. Empty if it has no part there. */
function cut(mapping: Mapping, from: bigint, to: bigint): Mapping[] {
  const start = from > mapping.start ? from : mapping.start;
  const end = to < endOf(mapping) ? to : endOf(mapping);
  if (end <= start) return [];
  const skipped = Number(start - mapping.start);
  const { written } = mapping;
  return [
    {
      start,
      bytes: mapping.bytes.subarray(skipped, skipped + Number(end - start)),
      written: written === undefined ? undefined : (offset, length) => written(offset + skipped, length),
    },
  ];
}

function sorted(mappings: Mapping[]): Mapping[] {
  return mappings.sort((a, b) => (a.start < b.start ? -1 : 1));
}
