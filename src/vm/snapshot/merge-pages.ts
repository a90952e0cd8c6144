/**
 * mergePages: the pages of an older copy of RAM, and in place of those that were written since, the
 * pages of a newer one.
 *
 * Called by: RamCopy, which takes both copies. It is a generator, since there may be gigabytes.
 */

import type { PageSet } from '../../hypervisor/page-set.js';
import { PAGE_BYTES } from '../../io-request/layout.js';
import { PIECE_BYTES, type SparsePages } from '../../hypervisor/sparse-pages.js';

const PAGES_PER_PIECE = PIECE_BYTES / PAGE_BYTES;
const EMPTY: SparsePages = { runs: [], pieces: [] };

/**
 * `older`: of each PIECE_BYTES of RAM its pages, numbered from its start. They are dropped one
 * after the other, so that there are never two copies of all. `newer`: of the pages in `replaced`
 * those that are not all zeros. Yields after each piece of RAM.
 */
export function* mergePages(older: SparsePages[], newer: SparsePages, replaced: PageSet): Generator<void, SparsePages> {
  const result = new PageWriter();
  const newPages = new PageReader(newer);
  for (let piece = 0; piece < older.length; piece++) {
    const oldPages = new PageReader(older[piece] ?? EMPTY);
    older[piece] = EMPTY;
    for (let page = 0; page < PAGES_PER_PIECE; page++) {
      const number = piece * PAGES_PER_PIECE + page;
      const old = oldPages.take(page);
      const bytes = replaced.has(number) ? newPages.take(number) : old;
      if (bytes !== undefined) result.add(number, bytes);
    }
    yield;
  }
  return result.finish();
}

/** Reads pages in ascending order. */
class PageReader {
  readonly #pages: SparsePages;
  /** Index in `runs`. */
  #run = 0;
  /** Pages before this run. */
  #before = 0;

  constructor(pages: SparsePages) {
    this.#pages = pages;
  }

  /** Undefined: the page is not there. */
  take(page: number): Uint8Array | undefined {
    const { runs, pieces } = this.#pages;
    while (this.#run < runs.length && page >= this.#first + this.#count) {
      this.#before += this.#count;
      this.#run += 2;
    }
    if (this.#run >= runs.length || page < this.#first) return undefined;
    const at = this.#before + page - this.#first;
    const start = (at % PAGES_PER_PIECE) * PAGE_BYTES;
    return pieces[Math.floor(at / PAGES_PER_PIECE)]?.subarray(start, start + PAGE_BYTES);
  }

  get #first(): number {
    return this.#pages.runs[this.#run] as number;
  }

  get #count(): number {
    return this.#pages.runs[this.#run + 1] as number;
  }
}

/** Takes pages in ascending order. */
class PageWriter {
  readonly #runs: number[] = [];
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];
  #pages = 0;

  add(page: number, bytes: Uint8Array): void {
    const runs = this.#runs;
    const last = runs.length - 1;
    if (last > 0 && (runs[last - 1] as number) + (runs[last] as number) === page)
      runs[last] = (runs[last] as number) + 1;
    else runs.push(page, 1);
    const at = this.#pages++ % PAGES_PER_PIECE;
    if (at === 0) this.#pieces.push(new Uint8Array(PIECE_BYTES));
    this.#pieces.at(-1)?.set(bytes, at * PAGE_BYTES);
  }

  finish(): SparsePages {
    const inLast = this.#pages % PAGES_PER_PIECE;
    const last = this.#pieces.length - 1;
    if (inLast > 0) this.#pieces[last] = (this.#pieces[last] as Uint8Array<ArrayBuffer>).slice(0, inLast * PAGE_BYTES);
    return { runs: this.#runs, pieces: this.#pieces };
  }
}
