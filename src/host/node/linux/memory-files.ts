/**
 * MemoryFiles: puts memory of this process into files without a name (memfds), which other
 * processes can map. Both sides then use the same pages.
 *
 * Called by: acrn-programs/, for the page of request slots, the rings and the RAM of a VM;
 * memory-arena.ts and kvm-calls.ts, for addresses.
 *
 * The memory stays where it is: the file is mapped over it. For that it has to begin at a page, and
 * its pages must be its own, mapped and unmapped as a whole. That is so for a WebAssembly.Memory,
 * and not for other SharedArrayBuffers. A file is sealed: no process that has it can make it
 * shorter, which would end this process with SIGBUS at its next access.
 *
 * Ordering: bytes are viewed only to copy them into a file, before another thread or process knows
 * of them.
 *
 * Sources: memfd_create(2), mmap(2), fcntl(2) "File Sealing".
 */

import { writeSync } from 'node:fs';
import { requireLibc, type Libc } from './libc.js';
import { touchedParts } from './touched-memory.js';

const PAGE = 4096;
/** Of a WebAssembly.Memory, its smallest unit. */
const MEMORY_PAGE = 0x1_0000;

// Flags by the names of the manual pages.
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FIXED = 0x10;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;

/** Memory is copied in such pieces, without those that are 0. */
const PIECE = 0x1_0000;

/** A place in a memory file, from which another process maps the memory to share it. */
export interface FilePart {
  /** A descriptor of this process. */
  readonly fd: number;
  readonly offset: number;
}

interface MemoryFile {
  readonly fd: number;
  readonly buffer: SharedArrayBuffer;
  /** The part of `buffer` that is the file. */
  readonly start: number;
  readonly length: number;
}

export class MemoryFiles {
  readonly #libc: Libc;
  readonly #files: MemoryFile[] = [];

  /** Throws if there is no koffi. */
  constructor(libc: Libc = requireLibc()) {
    this.#libc = libc;
  }

  /** New zeroed memory of one page, from offset 0 of the buffer, in a file of its own. */
  allocatePage(name: string): SharedArrayBuffer {
    const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const shared = buffer as unknown as SharedArrayBuffer;
    this.add(name, shared, 0, PAGE);
    return shared;
  }

  /**
   * Puts a part of a WebAssembly.Memory into a file. No thread may access it meanwhile. Throws if
   * it does not begin and end at a page, or the system refuses.
   */
  add(name: string, buffer: SharedArrayBuffer, start: number, length: number): void {
    const bytes = new Uint8Array(buffer, start, length);
    const address = this.#libc.address(bytes);
    if (address % BigInt(PAGE) !== 0n || length % PAGE !== 0 || buffer.byteLength % MEMORY_PAGE !== 0)
      throw new RangeError(`${name}: ${length} bytes at 0x${address.toString(16)} are not whole pages`);
    const fd = Number(
      this.#libc.func('int memfd_create(const char *name, uint flags)')(name, MFD_CLOEXEC | MFD_ALLOW_SEALING),
    );
    if (fd < 0) throw this.#failed('memfd_create', name);
    try {
      this.#fill(fd, bytes, name);
      this.#mapOver(address, fd, length, name);
    } catch (error) {
      // `find` must not name a file in which the memory is not.
      this.#close(fd);
      throw error;
    }
    this.#files.push({ fd, buffer, start, length });
  }

  /** Where the first page of `buffer` is in this process. */
  addressOf(buffer: SharedArrayBuffer): bigint {
    return this.#libc.address(new Uint8Array(buffer, 0, PAGE));
  }

  /** The file in which the bytes lie. Undefined if they are in none. */
  find(bytes: Uint8Array): FilePart | undefined {
    for (const { fd, buffer, start, length } of this.#files)
      if (bytes.buffer === buffer && bytes.byteOffset >= start && bytes.byteOffset + bytes.length <= start + length)
        return { fd, offset: bytes.byteOffset - start };
    return undefined;
  }

  /** Makes a part of a file zeros, and gives its pages back. Throws if the system refuses. */
  clear({ fd, offset }: FilePart, bytes: number): void {
    const fallocate = this.#libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BigInt(offset), BigInt(bytes)) !== 0)
      throw this.#failed('fallocate', `${bytes} bytes at ${offset}`);
  }

  /** Closes the files that have parts of `buffer`. Memory that is mapped stays so. */
  release(buffer: SharedArrayBuffer): void {
    for (let i = this.#files.length - 1; i >= 0; i--) {
      const file = this.#files[i];
      if (file?.buffer !== buffer) continue;
      this.#files.splice(i, 1);
      this.#close(file.fd);
    }
  }

  /** Gives an empty file the content `bytes`, and seals its size. */
  #fill(fd: number, bytes: Uint8Array, name: string): void {
    if (this.#libc.func('int ftruncate(int fd, int64_t bytes)')(fd, BigInt(bytes.length)) !== 0)
      throw this.#failed('ftruncate', name);
    this.#copyInto(fd, bytes, name);
    const seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
    if (this.#libc.func('int fcntl(int fd, int command, int argument)')(fd, F_ADD_SEALS, seals) !== 0)
      throw this.#failed('fcntl', name);
  }

  #mapOver(address: bigint, fd: number, length: number, name: string): void {
    const map = this.#libc.func('int64_t mmap(int64_t a, size_t n, int protection, int flags, int fd, int64_t offset)');
    if (BigInt(map(address, BigInt(length), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0n)) !== address)
      throw this.#failed('mmap', name);
  }

  #close(fd: number): void {
    this.#libc.func('int close(int fd)')(fd);
  }

  #copyInto(fd: number, bytes: Uint8Array, name: string): void {
    const write = this.#libc.func('int64_t pwrite(int fd, const void *bytes, size_t count, int64_t offset)');
    const zeros = new Uint8Array(PIECE);
    for (const { offset, length } of touchedParts(process.pid, this.#libc.address(bytes), bytes.length))
      for (let at = offset; at < offset + length; at += PIECE) {
        const piece = bytes.subarray(at, Math.min(at + PIECE, offset + length));
        if (Buffer.compare(piece, piece.length === PIECE ? zeros : zeros.subarray(0, piece.length)) === 0) continue;
        const copy = Uint8Array.from(piece);
        if (Number(write(fd, copy, copy.length, BigInt(at))) !== copy.length) throw this.#failed('pwrite', name);
      }
  }

  #failed(call: string, name: string): Error {
    return new Error(`${call}(2) failed for ${name}: errno ${this.#libc.errno()}`);
  }
}

/**
 * Returns the descriptor of a new memory file with that content, which can be sealed. Throws with
 * errno.
 */
export function memoryFile(name: string, content: Uint8Array = new Uint8Array()): number {
  const libc = requireLibc();
  const create = libc.func('int memfd_create(const char *name, uint flags)');
  const fd = Number(create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0) throw new Error(`memfd_create(2) failed: errno ${libc.errno()}`);
  if (content.length > 0) writeSync(fd, content, 0, content.length, 0);
  return fd;
}
