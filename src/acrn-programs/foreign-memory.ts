/**
 * ForeignMemory: the memory of a process that calls the ioctls, as /dev/acrn_hsm sees it. Its bytes
 * are copied by system calls. What it shares with a VM is in files that both processes map.
 *
 * Called by: the ioctls of acrn-hsm/, for their arguments and for what they share;
 * foreign-ioctl.ts, before each ioctl; program-ioctls.ts, carried-mappings.ts and
 * shim-connection.ts, for the mappings. open-files.ts creates it.
 * Callers must: carry the mappings that `takeMappings` returns into the process before the ioctl
 * returns there. Until then only this side sees the shared memory.
 */

import type { AddressSpace } from '../acrn-hsm/address-space.js';
import type { FilePart, MemoryFiles } from '../host/node/linux/memory-files.js';
import { processOf } from '../host/node/linux/process-facts.js';
import type { ProcessMemory } from '../host/node/linux/process-memory.js';
import { touchedParts, type TouchedPart } from '../host/node/linux/touched-memory.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { WrittenMemory } from './written-memory.js';

const PAGE = BigInt(PAGE_BYTES);
/** Of a longer range only what may be no zeros is read (touchedParts). */
const SMALL_RANGE = 0x1_0000;

/** A part of a file that belongs at an address of the process. */
export interface ForeignMapping {
  readonly address: bigint;
  readonly bytes: number;
  /** A descriptor of this process. */
  readonly fd: number;
  readonly offset: number;
  /** As in AddressSpace.share: to be called with what the process has written. */
  readonly written: ((offset: number, length: number) => void) | undefined;
}

export class ForeignMemory implements AddressSpace {
  /** The process, or one of its threads, that makes the current call. */
  pid: number;
  readonly #memory: ProcessMemory;
  readonly #files: MemoryFiles;
  #mappings: ForeignMapping[] = [];
  /** By process. */
  readonly #written = new Map<number, WrittenMemory>();

  constructor(pid: number, memory: ProcessMemory, files: MemoryFiles) {
    this.pid = pid;
    this.#memory = memory;
    this.#files = files;
  }

  /** The process of `pid`. Undefined if it has ended. */
  get process(): number | undefined {
    return processOf(this.pid);
  }

  read(address: bigint, target: Uint8Array): boolean {
    return this.#memory.read(this.pid, address, target);
  }

  isMapped(address: bigint, bytes: bigint): boolean {
    return this.#partsOf(address, bytes).every(({ offset, length }) => {
      const start = address + BigInt(offset);
      const end = start + BigInt(length);
      // One byte in each page, and the last byte: steps from within a page may miss the last page.
      return (
        this.#memory.areMapped(this.pid, start, end, PAGE) && this.#memory.areMapped(this.pid, end - 1n, end, PAGE)
      );
    });
  }

  write(address: bigint, source: Uint8Array): boolean {
    return this.#memory.write(this.pid, address, source);
  }

  /** Returns false also if `target` is in no file, or `address` is not that of a page. */
  share(address: bigint, target: Uint8Array, written?: (offset: number, length: number) => void): boolean {
    const part = this.#files.find(target);
    if (part === undefined || address % PAGE !== 0n || !this.#copy(address, target, part)) return false;
    this.#mappings.push({ address, bytes: target.length, ...part, written });
    written?.(0, target.length);
    return true;
  }

  /** The mappings of the calls of `share` that succeeded since the last call of this. */
  takeMappings(): readonly ForeignMapping[] {
    const mappings = this.#mappings;
    if (mappings.length > 0) this.#mappings = [];
    return mappings;
  }

  /** Whether stores of the process are noticed (WrittenMemory). */
  isTracking(process: number): boolean {
    return this.#written.has(process);
  }

  /**
   * From now on, stores of the process are noticed. `userfault`: as in WrittenPages. Throws if the
   * system lacks what is needed, or the process has ended.
   */
  track(process: number, userfault: number): void {
    this.#written.set(process, new WrittenMemory(process, userfault));
  }

  /** The mapping is in the process now. Throws if stores to it cannot be watched. */
  mapped(process: number, { address, bytes, written }: ForeignMapping): void {
    if (written !== undefined) this.#written.get(process)?.add(address, bytes, written);
  }

  /** Reports to the VM what the processes have written. Call it before the guest runs on. */
  collectWritten(): void {
    for (const written of this.#written.values()) written.collect();
  }

  /** The guest runs no more: stores of the processes are not noticed until `guestRuns`. */
  guestPaused(): void {
    for (const written of this.#written.values()) written.pause();
  }

  /** Call it before a guest that was paused runs again, and `collectWritten` after it. */
  guestRuns(): void {
    for (const written of this.#written.values()) written.resume();
  }

  /** Fills `target`, which lies in `part` of a file. Returns false if an address is not mapped. */
  #copy(address: bigint, target: Uint8Array, { fd, offset: start }: FilePart): boolean {
    let at = 0;
    for (const { offset, length } of this.#partsOf(address, BigInt(target.length))) {
      if (offset > at) this.#files.clear({ fd, offset: start + at }, offset - at);
      if (!this.read(address + BigInt(offset), target.subarray(offset, offset + length))) return false;
      at = offset + length;
    }
    if (at < target.length) this.#files.clear({ fd, offset: start + at }, target.length - at);
    return true;
  }

  /** Parts of a range of the process outside of which all bytes are mapped and zero. */
  #partsOf(address: bigint, bytes: bigint): readonly TouchedPart[] {
    const length = Number(bytes);
    const process = length > SMALL_RANGE && address % PAGE === 0n ? this.process : undefined;
    return process === undefined ? [{ offset: 0, length }] : touchedParts(process, address, length);
  }

  /** The file was closed. */
  close(): void {
    for (const written of this.#written.values()) written.close();
    this.#written.clear();
  }
}
