/**
 * GuestMemory: a User VM's RAM, which starts at guest physical address 0.
 *
 * It lies in a SharedArrayBuffer, so that the vCPU's thread, the boot loaders and a device in any
 * thread reach the same bytes (DMA) without a copy. Accesses outside of the RAM throw RangeError: a
 * device must check addresses that a guest gave it with `contains` first.
 *
 * Called by: the hypervisor, which creates it; boot loaders; devices.
 *
 * Ordering: RAM is read and written by plain accesses, ordered by what the threads do around them.
 * A device that was assigned a request sees the guest's stores before it, because the vCPU
 * published the request by the compare-and-exchange to PENDING. The guest sees the device's stores
 * before it completed the request, by the one to COMPLETE, or before it raised an interrupt line,
 * by the line's atomic word. At any other time a device's access is like DMA: the guest's driver
 * must wait for the device's signal. Boot loaders write before the store of RUNNING, which the vCPU
 * loads.
 */

import { DirtyPages } from './dirty-pages.js';

/** Makes a GuestMemory of the same bytes in another thread. Survives structured cloning. */
export interface GuestMemoryHandle {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Where writes are announced, if the hypervisor has to know of them (DirtyPages). */
  readonly dirty?: SharedArrayBuffer;
}

export class GuestMemory {
  readonly handle: GuestMemoryHandle;
  /**
   * All of the RAM. Index: guest physical address. After a write while the guest runs, call
   * `written`.
   */
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

  /**
   * Whether the byte at `address` is not in `bytes`, but reached by the methods only. False for all
   * addresses of RAM here. RegionMemory has others.
   */
  isRemote(address: number): boolean {
    return address < 0;
  }

  /** Accesses to RAM that came to nothing. Only RegionMemory has RAM that may not answer. */
  get failures(): number {
    return 0;
  }

  /** Copies RAM to `target`. */
  readInto(address: number, target: Uint8Array): void {
    this.#check(address, target.length);
    target.set(this.bytes.subarray(address, address + target.length));
  }

  /** A private copy of `length` bytes, which the guest cannot change. */
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

  /**
   * Announces that bytes were written through `bytes`: the guest may have code there, or a save may
   * have copied them.
   */
  written(address: number, length: number): void {
    this.#dirty?.add(address, length);
  }

  #check(address: number, length: number): void {
    if (!this.contains(address, length))
      throw new RangeError(`guest memory: ${length} bytes at 0x${address.toString(16)} of ${this.size}`);
  }
}
