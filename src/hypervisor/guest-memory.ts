/**
 * GuestMemory: a User VM's RAM, which starts at guest physical address 0.
 *
 * It lies in a SharedArrayBuffer, so that the vCPU's thread, the boot loaders and a device in any thread reach the same
 * bytes (DMA) without a copy. Accesses outside of the RAM throw RangeError: a device must check addresses that a guest
 * gave it with `contains` first.
 *
 * Ordering: RAM is read and written by plain accesses, ordered by what the threads do around them. A device
 * that was assigned a request sees what the guest wrote before it, because the vCPU published the request
 * by the compare-and-exchange to PENDING. The guest sees what the device wrote before it completed the
 * request, by the one to COMPLETE, or before it raised an interrupt line, by the line's atomic word. RAM
 * that a device accesses at any other time is as it would be with DMA: the guest's driver must not use it
 * until it was told to. Boot loaders write before the store of RUNNING, which the vCPU loads.
 */

import { DirtyPages } from './dirty-pages.js';

/** What another thread needs to make its own GuestMemory of the same bytes; it survives structured cloning. */
export interface GuestMemoryHandle {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Where DMA writes are announced, if the hypervisor keeps translations of guest code. */
  readonly dirty?: SharedArrayBuffer;
}

export class GuestMemory {
  readonly handle: GuestMemoryHandle;
  /** All of the RAM; index = guest physical address. Whoever writes here while the guest runs calls `written` afterwards. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly #view: DataView;
  readonly #dirty: DirtyPages | undefined;

  constructor(handle: GuestMemoryHandle) {
    this.handle = handle;
    this.bytes = new Uint8Array(handle.buffer, handle.byteOffset, handle.byteLength);
    this.#view = new DataView(handle.buffer, handle.byteOffset, handle.byteLength);
    this.#dirty = handle.dirty === undefined ? undefined : new DirtyPages(handle.dirty);
  }

  /** Bytes of RAM. */
  get size(): number {
    return this.bytes.length;
  }

  contains(address: number, length: number): boolean {
    return Number.isSafeInteger(address) && address >= 0 && length >= 0 && address + length <= this.size;
  }

  /** A copy of `length` bytes; private to the caller, so the guest cannot change it any more. */
  read(address: number, length: number): Uint8Array<ArrayBuffer> {
    this.#check(address, length);
    const copy = new Uint8Array(length);
    copy.set(this.bytes.subarray(address, address + length));
    return copy;
  }

  write(address: number, data: Uint8Array): void {
    this.#check(address, data.length);
    this.bytes.set(data, address);
    this.written(address, data.length);
  }

  readU8(address: number): number {
    return this.#view.getUint8(address);
  }

  readU16(address: number): number {
    return this.#view.getUint16(address, true);
  }

  readU32(address: number): number {
    return this.#view.getUint32(address, true);
  }

  writeU8(address: number, value: number): void {
    this.#view.setUint8(address, value);
    this.written(address, 1);
  }

  writeU16(address: number, value: number): void {
    this.#view.setUint16(address, value, true);
    this.written(address, 2);
  }

  writeU32(address: number, value: number): void {
    this.#view.setUint32(address, value, true);
    this.written(address, 4);
  }

  fill(value: number, address = 0, length = this.size - address): void {
    this.#check(address, length);
    this.bytes.fill(value, address, address + length);
    this.written(address, length);
  }

  /** Tells the hypervisor that bytes were written through `bytes`, in case the guest has code there. */
  written(address: number, length: number): void {
    this.#dirty?.add(address, length);
  }

  #check(address: number, length: number): void {
    if (!this.contains(address, length))
      throw new RangeError(`guest memory: ${length} bytes at 0x${address.toString(16)} of ${this.size}`);
  }
}
