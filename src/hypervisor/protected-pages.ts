/**
 * ProtectedPages: the write-protected 4-KiB pages of a User VM's RAM (HC_VM_WRITE_PROTECT_PAGE).
 *
 * Threads: the Service VM's thread sets them. Each vCPU's thread turns a store to such a page into
 * a write-protect request.
 *
 * Called by: ThreadedVm sets. The v86 core's TrappedRam and ScriptPlayer read.
 *
 * One bit for each page of the RAM, as in DirtyPages: a list would have to be searched at each
 * store, and would need a limit, which ACRN's page tables do not have. The bits of 2 GiB are 64
 * KiB. While no page is protected a check costs a plain load.
 */

import { SharedWords } from '../sync/shared-words.js';

const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;
const PAGES_IN_WORD = 32;
// Indices of words.
/** Count of protected pages. */
const COUNT = 0;
/** Generation: counts the changes. A vCPU that sees a new one sets up its traps for the pages. */
const CHANGES = 1;
/** The bitmap. */
const FIRST = 2;

export class ProtectedPages {
  readonly #words: SharedWords;

  /** For `source` bytes of RAM, none of them protected, or a view of another thread's words. */
  constructor(source: number | SharedArrayBuffer) {
    this.#words = new SharedWords(
      typeof source === 'number' ? FIRST + Math.ceil(source / (PAGES_IN_WORD * PAGE_BYTES)) : source,
    );
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer;
  }

  /** Whether any page is protected. */
  get any(): boolean {
    return this.#words.loadRelaxed(COUNT) !== 0;
  }

  /** The generation. The bits that are read after it have all changes that it counts. */
  get changes(): number {
    return this.#words.load(CHANGES);
  }

  /** Whether there was a change since `changes` was `seen`. One plain load. */
  hasChangedSince(seen: number): boolean {
    return this.#words.loadRelaxed(CHANGES) !== seen;
  }

  /** Whether the page of `address` is protected. False outside of the RAM. */
  has(address: number): boolean {
    const page = Math.floor(address / PAGE_BYTES);
    const word = FIRST + Math.floor(page / PAGES_IN_WORD);
    return word < this.#words.length && (this.#words.loadRelaxed(word) & (1 << (page % PAGES_IN_WORD))) !== 0;
  }

  /** The address of the lowest protected page, or Infinity if no page is protected. */
  get lowest(): number {
    for (let word = FIRST; word < this.#words.length; word++) {
      const bits = this.#words.load(word);
      if (bits !== 0) return ((word - FIRST) * PAGES_IN_WORD + 31 - Math.clz32(bits & -bits)) * PAGE_BYTES;
    }
    return Infinity;
  }

  /**
   * Protects the page at `address`, which lies in the RAM, or frees it. Only in the Service VM's
   * thread.
   */
  set(address: number, protect: boolean): void {
    const page = address / PAGE_BYTES;
    const word = FIRST + Math.floor(page / PAGES_IN_WORD);
    const bit = 1 << (page % PAGES_IN_WORD);
    const before = protect ? this.#words.or(word, bit) : this.#words.and(word, ~bit);
    if (((before & bit) !== 0) === protect) return;
    this.#words.add(COUNT, protect ? 1 : -1);
    this.#words.add(CHANGES, 1);
  }

  /** The addresses of the protected pages, ascending. */
  get addresses(): readonly number[] {
    const found: number[] = [];
    for (let word = FIRST; word < this.#words.length; word++)
      for (let bits = this.#words.load(word); bits !== 0; bits &= bits - 1)
        found.push(((word - FIRST) * PAGES_IN_WORD + 31 - Math.clz32(bits & -bits)) * PAGE_BYTES);
    return found;
  }
}
