/**
 * DirtyPages: which 4-KiB pages of guest memory were written from outside of the vCPU (boot loaders, DMA).
 *
 * Any thread adds; the vCPU's thread takes them before it runs on and drops what it had translated of them. One bit for
 * each page and one word that says whether any bit is set, so that a look costs a plain load.
 */

import { SharedWords } from '../sync/shared-words.js';

const PAGE_SHIFT = 12;
const ANY = 0;
const FIRST = 1;

export class DirtyPages {
  readonly #words: SharedWords;

  /** Shared words for `memoryBytes` of RAM. */
  static create(memoryBytes: number): SharedArrayBuffer {
    return new SharedWords(FIRST + Math.ceil(memoryBytes / (32 << PAGE_SHIFT))).buffer;
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

  /** Whether `take` would find something; one plain load. */
  get any(): boolean {
    return this.#words.loadRelaxed(ANY) !== 0;
  }

  /** Calls `drop(start, end)` with the byte range of each dirty page, end exclusive, and forgets it. */
  take(drop: (start: number, end: number) => void): void {
    if (this.#words.exchange(ANY, 0) === 0) return;
    for (let word = FIRST; word < this.#words.length; word++) {
      let bits = this.#words.loadRelaxed(word) === 0 ? 0 : this.#words.exchange(word, 0);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const page = (word - FIRST) * 32 + bit;
        drop(page * 2 ** PAGE_SHIFT, (page + 1) * 2 ** PAGE_SHIFT);
      }
    }
  }
}
