/**
 * DirtyPages: the 4-KiB pages of guest memory that were written from outside of the vCPU (boot
 * loaders, DMA).
 *
 * Threads: any thread adds, one takes. The v86 core takes them in the vCPU's thread, before it runs
 * on, and drops its translations of them. On KVM they are the part of the log of writes that the
 * kernel does not see (write-log.ts). There is one bit for each page, and one word that is
 * set if any bit is, so that a poll costs a plain load.
 *
 * Called by: GuestMemory adds. The hypervisor creates the words, and takes.
 * Callers must: add ranges of the RAM only, after they have written.
 */

import { SharedWords } from '../sync/shared-words.js';

const PAGE_SHIFT = 12;
/** 1 if any page is dirty. */
const ANY = 0;
/** The bitmap. */
const FIRST = 1;
const PAGES_IN_WORD = 32;

export class DirtyPages {
  readonly #words: SharedWords;

  /** Shared words for `memoryBytes` of RAM. */
  static create(memoryBytes: number): SharedArrayBuffer {
    return new SharedWords(FIRST + Math.ceil(memoryBytes / (PAGES_IN_WORD << PAGE_SHIFT))).buffer;
  }

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new SharedWords(buffer);
  }

  add(address: number, length: number): void {
    if (length <= 0) return;
    const last = (address + length - 1) >>> PAGE_SHIFT;
    for (let page = address >>> PAGE_SHIFT; page <= last; page++)
      this.#words.or(FIRST + (page >>> 5), 1 << (page & 31));
    this.#words.store(ANY, 1);
  }

  /** Whether `take` would find a page. One plain load. */
  get any(): boolean {
    return this.#words.loadRelaxed(ANY) !== 0;
  }

  /**
   * Calls `drop(start, end)` with the byte range of each dirty page, end exclusive, and clears it.
   */
  take(drop: (start: number, end: number) => void): void {
    if (this.#words.exchange(ANY, 0) === 0) return;
    for (let word = FIRST; word < this.#words.length; word++) {
      // Relaxed is enough: the exchange of ANY acquired the bits that were set before it.
      let bits = this.#words.loadRelaxed(word) === 0 ? 0 : this.#words.exchange(word, 0);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const page = (word - FIRST) * PAGES_IN_WORD + bit;
        drop(page * 2 ** PAGE_SHIFT, (page + 1) * 2 ** PAGE_SHIFT);
      }
    }
  }
}
