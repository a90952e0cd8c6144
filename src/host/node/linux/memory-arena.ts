/**
 * LinuxMemoryArena: maps memory files (memfds) of other programs into a WebAssembly.Memory of this
 * process.
 *
 * Called by: node-host.ts, as `Host.openMemoryArena`.
 *
 * The file must be sealed against shrinking. Otherwise its owner could cut it off, and the next
 * access here would end this process with SIGBUS. The same holds for huge pages of which its owner
 * punches one out.
 *
 * Memory of the arena is never unmapped, not even between two calls: what the process
 * maps next, in any thread, could then lie in it.
 *
 * Sources: mmap(2), mremap(2), fcntl(2) "File Sealing", memfd_create(2), statfs(2).
 */

import { fstatSync, statfsSync } from 'node:fs';
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
const PROTECTION = PROT_READ | PROT_WRITE;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MREMAP_MAYMOVE = 1;
const MREMAP_FIXED = 2;
const HUGETLBFS_MAGIC = 0x9584_58f6;

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
  readonly #mremap: NativeFunction;
  readonly #munmap: NativeFunction;
  readonly #start: bigint;

  constructor(libc: Libc, buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#libc = libc;
    this.#mmap = libc.func('int64_t mmap(int64_t a, size_t n, int protection, int flags, int fd, int64_t offset)');
    this.#mremap = libc.func('int64_t mremap(int64_t from, size_t bytes, size_t newBytes, int flags, int64_t to)');
    this.#munmap = libc.func('int munmap(int64_t a, size_t n)');
    this.#start = new MemoryFiles(libc).addressOf(buffer);
  }

  map(offset: number, length: number, descriptor: number, fileOffset: number): boolean {
    if (!this.#isWhole(offset, length) || fileOffset % PAGE !== 0) return false;
    const seals = Number(this.#libc.func('int fcntl(int fd, int command, int argument)')(descriptor, F_GET_SEALS, 0));
    if (seals < 0 || (seals & F_SEAL_SHRINK) === 0) return false;
    // After the seals: the file can only grow from here on.
    if (fileOffset < 0 || fileOffset + length > fstatSync(descriptor).size) return false;
    if (statfsSync(`/proc/self/fd/${descriptor}`).type === HUGETLBFS_MAGIC) return false;
    // A call that maps at a place has unmapped what was there when it fails. So the file is mapped
    // elsewhere and moved, which does not fail for a reason that the file's owner chooses.
    const elsewhere = BigInt(this.#mmap(0n, BigInt(length), PROTECTION, MAP_SHARED, descriptor, BigInt(fileOffset)));
    if (elsewhere < 0n) return false;
    const size = BigInt(length);
    const address = this.#start + BigInt(offset);
    if (BigInt(this.#mremap(elsewhere, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, address)) === address) return true;
    this.unmap(offset, length);
    this.#munmap(elsewhere, size);
    return false;
  }

  unmap(offset: number, length: number): void {
    if (!this.#isWhole(offset, length)) return;
    const address = this.#start + BigInt(offset);
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    // It can only fail at the process's limit of mappings, far above MAX_DMA_REGIONS of vfio-user.
    // The process ends then, because its next memory would be the client's.
    if (BigInt(this.#mmap(address, BigInt(length), PROTECTION, flags, -1, 0n)) !== address) process.abort();
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
}
