/**
 * ProcessMemory: reads and writes the memory of another process.
 *
 * Called by: acrn-programs/foreign-memory.ts for the arguments of ioctls; the rest of
 * acrn-programs/ through `OpenFiles.memory`, for paths and the like; interrupted-calls.ts and
 * signal-frames.ts for the stacks of threads; the self-test in acrn-programs/support.ts.
 * Callers must: be allowed to trace the process (ptrace(2), "Ptrace access mode checking").
 *
 * Source: process_vm_readv(2).
 */

import { requireLibc, type Libc, type NativeFunction } from './libc.js';

const PAGE = 4096;
/** Small copies go through memory whose address is known. */
const SCRATCH_BYTES = 4096;
/** The system call's limit of pieces. */
const MAX_PIECES = 1024;
/** Bytes of one call: Linux copies at most 2 GiB − 4 KiB. */
const MAX_BYTES = 1 << 30;

export class ProcessMemory {
  readonly #libc: Libc;
  readonly #readv: NativeFunction;
  readonly #writev: NativeFunction;
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  readonly #scratchAddress: bigint;
  /** struct iovec: an address and a number of bytes. */
  readonly #local = new BigUint64Array(2);
  readonly #remote = new BigUint64Array(2);
  readonly #pieces = new BigUint64Array(2 * MAX_PIECES);

  constructor(libc: Libc = requireLibc()) {
    this.#libc = libc;
    const parameters = '(int pid, void *local, ulong locals, void *remote, ulong remotes, ulong flags)';
    this.#readv = libc.func(`int64_t process_vm_readv${parameters}`);
    this.#writev = libc.func(`int64_t process_vm_writev${parameters}`);
    this.#scratchAddress = libc.address(this.#scratch);
  }

  /**
   * Copies from `address` of process `pid`. Returns whether all bytes were there. If not, the
   * content of `target` is undefined.
   */
  read(pid: number, address: bigint, target: Uint8Array): boolean {
    if (target.length > SCRATCH_BYTES) return this.#copy(this.#readv, pid, address, target);
    if (!this.#call(this.#readv, pid, this.#scratchAddress, address, target.length)) return false;
    target.set(this.#scratch.subarray(0, target.length));
    return true;
  }

  /**
   * Copies to `address` of process `pid`. Returns whether all bytes were there. If not, the pages
   * before the missing one may be written.
   */
  write(pid: number, address: bigint, source: Uint8Array): boolean {
    if (source.length > SCRATCH_BYTES) return this.#copy(this.#writev, pid, address, source);
    this.#scratch.set(source);
    return this.#call(this.#writev, pid, this.#scratchAddress, address, source.length);
  }

  /** The C string at `address`, cut to `most` bytes. Undefined if its first byte is not mapped. */
  readText(pid: number, address: bigint, most = 256): string | undefined {
    const bytes = Buffer.alloc(most);
    // Its page may be the last one that is mapped.
    const toPageEnd = Math.min(most, PAGE - Number(address % BigInt(PAGE)));
    const first = bytes.subarray(0, toPageEnd);
    if (!this.read(pid, address, first)) return undefined;
    if (!first.includes(0) && toPageEnd < most) this.read(pid, address + BigInt(toPageEnd), bytes.subarray(toPageEnd));
    const end = bytes.indexOf(0);
    return bytes.toString('utf8', 0, end < 0 ? most : end);
  }

  /** Whether each of the addresses `first`, `first + step`, … below `end` is mapped. */
  areMapped(pid: number, first: bigint, end: bigint, step: bigint): boolean {
    for (let at = first; at < end;) {
      let pieces = 0;
      for (; pieces < MAX_PIECES && at < end; pieces++, at += step) {
        this.#pieces[2 * pieces] = at;
        this.#pieces[2 * pieces + 1] = 1n;
      }
      this.#local[0] = this.#scratchAddress;
      this.#local[1] = BigInt(pieces);
      if (Number(this.#readv(pid, this.#local, 1, this.#pieces, pieces, 0)) !== pieces) return false;
    }
    return true;
  }

  #copy(call: NativeFunction, pid: number, address: bigint, bytes: Uint8Array): boolean {
    const start = this.#libc.address(bytes);
    for (let at = 0; at < bytes.length; at += MAX_BYTES) {
      const length = Math.min(MAX_BYTES, bytes.length - at);
      if (!this.#call(call, pid, start + BigInt(at), address + BigInt(at), length)) return false;
    }
    return true;
  }

  #call(call: NativeFunction, pid: number, local: bigint, remote: bigint, length: number): boolean {
    this.#local[0] = local;
    this.#remote[0] = BigInt.asUintN(64, remote);
    this.#local[1] = this.#remote[1] = BigInt(length);
    return Number(call(pid, this.#local, 1, this.#remote, 1, 0)) === length;
  }
}
