/**
 * PageSet: a set of the 4-KiB pages of a guest's RAM, one bit for each.
 *
 * Called by: a WriteLog adds what was written; vm/snapshot/ reads it. Threads: one.
 */

import { PAGE_BYTES } from '../io-request/layout.js';

export class PageSet {
  /** Pages of the RAM. */
  readonly count: number;
  readonly #bits: Uint8Array;

  constructor(memoryBytes: number) {
    this.count = Math.floor(memoryBytes / PAGE_BYTES);
    this.#bits = new Uint8Array(Math.ceil(this.count / 8));
  }

  has(page: number): boolean {
    return (((this.#bits[page >>> 3] ?? 0) >>> (page & 7)) & 1) !== 0;
  }

  /** Throws RangeError for a page that is not in the RAM. */
  add(page: number): void {
    if (!(page >= 0 && page < this.count)) throw new RangeError(`page ${page} of ${this.count}`);
    this.#bits[page >>> 3] = (this.#bits[page >>> 3] as number) | (1 << (page & 7));
  }

  /**
   * Adds `count` pages from page `first` on whose bits are set in `bitmap`, the lowest bit of its
   * first byte first. Bits beyond `count` are ignored.
   */
  addBits(first: number, count: number, bitmap: Uint8Array): void {
    for (let byte = 0; byte < bitmap.length; byte++) {
      let bits = bitmap[byte] as number;
      for (let page = byte * 8; bits !== 0 && page < count; page++, bits >>>= 1)
        if ((bits & 1) !== 0) this.add(first + page);
    }
  }
}
