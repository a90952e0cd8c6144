/**
 * LinuxMemoryArena: maps memory files (memfds) of other programs into a WebAssembly.Memory of this
 * process.
 *
 * Called by: node-host.ts, as `Host.openMemoryArena`.
 *
 * The file must be sealed against shrinking. Otherwise its owner could cut it off, and the next
 * access here would end this process with SIGBUS.
 *
 * Sources: mmap(2), fcntl(2) "File Sealing", memfd_create(2).
 */

import { fstatSync } from 'node:fs';
import type { MemoryArena } from '../../memory-arena.js';
import { loadLibc, type Libc, type NativeFunction } from './libc.js';
import { MemoryFiles } from './memory-files.js';

const PAGE = 4096;
/** Of a WebAssembly.Memory, its smallest unit. */
const MEMORY_PAGE = 0x1_0000;

// Flags by the names of the manual pages.
const F_GET_SEALS = 1034;
const F_SEAL_SHRINK = 2;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;

/**
 * `bytes`: a multiple of 64 KiB. Address space only: pages are allocated when they are touched.
 * Undefined if this is not Linux, koffi is not installed, or there is not that much address space.
 */
export function openMemoryArena(bytes: number): MemoryArena | undefined {
  const libc = loadLibc();
  if (libc === undefined) return undefined;
  try {
    const pages = bytes / MEMORY_PAGE;
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return new LinuxMemoryArena(libc, buffer as unknown as SharedArrayBuffer);
  } catch {
    return undefined;
  }
}

class LinuxMemoryArena implements MemoryArena {
  readonly buffer: SharedArrayBuffer;
  readonly #libc: Libc;
  readonly #mmap: NativeFunction;
  readonly #start: bigint;

  constructor(libc: Libc, buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#libc = libc;
    this.#mmap = libc.func('int64_t mmap(int64_t a, size_t n, int protection, int flags, int fd, int64_t offset)');
    this.#start = new MemoryFiles(libc).addressOf(buffer);
  }

  map(offset: number, length: number, descriptor: number, fileOffset: number): boolean {
    if (!this.#isWhole(offset, length) || fileOffset % PAGE !== 0) return false;
    const seals = Number(this.#libc.func('int fcntl(int fd, int command, int argument)')(descriptor, F_GET_SEALS, 0));
    if (seals < 0 || (seals & F_SEAL_SHRINK) === 0) return false;
    // After the seals: the file can only grow from here on.
    if (fileOffset < 0 || fileOffset + length > fstatSync(descriptor).size) return false;
    return this.#mapFixed(offset, length, MAP_SHARED, descriptor, fileOffset);
  }

  unmap(offset: number, length: number): void {
    if (!this.#isWhole(offset, length)) return;
    // It can only fail at the process's limit of mappings, far above MAX_DMA_REGIONS of vfio-user.
    this.#mapFixed(offset, length, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }

  #isWhole(offset: number, length: number): boolean {
    return (
      Number.isSafeInteger(offset) &&
      Number.isSafeInteger(length) &&
      offset % PAGE === 0 &&
      length % PAGE === 0 &&
      offset >= 0 &&
      length > 0 &&
      offset + length <= this.buffer.byteLength
    );
  }

  #mapFixed(offset: number, length: number, flags: number, descriptor: number, fileOffset: number): boolean {
    const address = this.#start + BigInt(offset);
    const protection = PROT_READ | PROT_WRITE;
    const result = this.#mmap(address, BigInt(length), protection, flags | MAP_FIXED, descriptor, BigInt(fileOffset));
    return BigInt(result) === address;
  }
}
