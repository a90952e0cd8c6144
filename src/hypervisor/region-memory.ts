/**
 * RegionMemory: the RAM of a machine that announces it in regions (vfio-user/dma-map.ts). A region
 * is mapped into this process, or it is remote: reached by messages only.
 *
 * Called by: cards, through their handles, as any GuestMemory. `bytes` has mapped regions only.
 * Threads: the Service VM's.
 *
 * A remote access that fails, because the machine is gone or does not answer, reads as all ones and
 * writes nothing, as on a bus without an answer. So does a write to a region that is read-only.
 */

import { GuestMemory, type GuestMemoryHandle } from './guest-memory.js';

export interface MemoryRegion {
  /** Guest physical addresses. */
  readonly start: number;
  /** One above its last byte. */
  readonly end: number;
  readonly isMapped: boolean;
  readonly isWritable: boolean;
}

/** Accesses by message. They return false if no answer came. */
export interface RemoteMemory {
  readRemote(address: number, target: Uint8Array): boolean;
  writeRemote(address: number, source: Uint8Array): boolean;
}

const ALL_ONES = 0xff;

export class RegionMemory extends GuestMemory {
  /** Undefined: there is no machine. Its regions are then empty. */
  remote: RemoteMemory | undefined;
  /** Sorted by their addresses, without overlaps. */
  #regions: readonly MemoryRegion[] = [];
  /** The region of the last access, which the next one is mostly in. */
  #last: MemoryRegion | undefined;
  #failures = 0;
  readonly #scratch = new Uint8Array(4);
  readonly #scratchView = new DataView(this.#scratch.buffer);

  constructor(handle: GuestMemoryHandle, remote?: RemoteMemory) {
    super(handle);
    this.remote = remote;
  }

  get regions(): readonly MemoryRegion[] {
    return this.#regions;
  }

  /** Sorted by their addresses, without overlaps. Mapped ones lie within `bytes`. */
  set regions(regions: readonly MemoryRegion[]) {
    this.#regions = regions;
    this.#last = undefined;
  }

  /** Remote accesses that were not answered, and writes to read-only regions. */
  override get failures(): number {
    return this.#failures;
  }

  override contains(address: number, length: number): boolean {
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(length) || address < 0 || length < 0) return false;
    const end = address + length;
    for (let at = address; at < end;) {
      const region = this.#find(at);
      if (region === undefined) return false;
      at = region.end;
    }
    return true;
  }

  override isRemote(address: number): boolean {
    return this.#find(address)?.isMapped !== true;
  }

  override readInto(address: number, target: Uint8Array): void {
    this.#expect(address, target.length);
    for (let done = 0; done < target.length;) {
      const at = address + done;
      const region = this.#find(at);
      // A message may have waited, and the machine be gone since.
      const length = Math.min(target.length - done, (region?.end ?? Infinity) - at);
      const part = target.subarray(done, done + length);
      if (region?.isMapped === true) part.set(this.bytes.subarray(at, at + length));
      else if (region === undefined || this.remote?.readRemote(at, part) !== true) {
        part.fill(ALL_ONES);
        this.#failures++;
      }
      done += length;
    }
  }

  override read(address: number, length: number): Uint8Array<ArrayBuffer> {
    this.#expect(address, length);
    const copy = new Uint8Array(length);
    this.readInto(address, copy);
    return copy;
  }

  override write(address: number, data: Uint8Array): void {
    this.#expect(address, data.length);
    for (let done = 0; done < data.length;) {
      const at = address + done;
      const region = this.#find(at);
      const length = Math.min(data.length - done, (region?.end ?? Infinity) - at);
      const part = data.subarray(done, done + length);
      if (region?.isWritable !== true) this.#failures++;
      else if (region.isMapped) this.bytes.set(part, at);
      else if (this.remote?.writeRemote(at, part) !== true) this.#failures++;
      done += length;
    }
  }

  override readU8(address: number): number {
    return this.#isMapped(address, 1) ? super.readU8(address) : this.#readWord(address, 1).getUint8(0);
  }

  override readU16(address: number): number {
    return this.#isMapped(address, 2) ? super.readU16(address) : this.#readWord(address, 2).getUint16(0, true);
  }

  override readU32(address: number): number {
    return this.#isMapped(address, 4) ? super.readU32(address) : this.#readWord(address, 4).getUint32(0, true);
  }

  override writeU8(address: number, value: number): void {
    this.#scratchView.setUint8(0, value);
    this.write(address, this.#scratch.subarray(0, 1));
  }

  override writeU16(address: number, value: number): void {
    if (this.#isMapped(address, 2)) super.writeU16(address, value);
    else {
      this.#scratchView.setUint16(0, value, true);
      this.write(address, this.#scratch.subarray(0, 2));
    }
  }

  override writeU32(address: number, value: number): void {
    if (this.#isMapped(address, 4)) super.writeU32(address, value);
    else {
      this.#scratchView.setUint32(0, value, true);
      this.write(address, this.#scratch);
    }
  }

  override fill(value: number, address: number, length: number): void {
    this.write(address, new Uint8Array(length).fill(value));
  }

  /** Mapped regions are writable. */
  #isMapped(address: number, length: number): boolean {
    const region = this.#find(address);
    return region?.isMapped === true && address + length <= region.end;
  }

  #readWord(address: number, length: number): DataView {
    this.readInto(address, this.#scratch.subarray(0, length));
    return this.#scratchView;
  }

  #expect(address: number, length: number): void {
    if (!this.contains(address, length))
      throw new RangeError(`guest memory: ${length} bytes at 0x${address.toString(16)} are in no region`);
  }

  #find(address: number): MemoryRegion | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.start && address < last.end) return last;
    const regions = this.#regions;
    let low = 0;
    let high = regions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const region = regions[middle] as MemoryRegion;
      if (address < region.start) high = middle;
      else if (address >= region.end) low = middle + 1;
      else return (this.#last = region);
    }
    return undefined;
  }
}
