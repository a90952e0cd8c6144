/**
 * SparsePages: the 4-KiB pages of a memory that are not all zeros, as a copy. Most of a guest's RAM
 * is zeros.
 *
 * Called by: vm/snapshot/ for the guest's RAM, in the Service VM's thread; v86/core-snapshot.ts for
 * the core's own memory, in the vCPU's thread.
 *
 * Ordering: memory is read and written by plain accesses. The caller has ordered them: while pages
 * are taken or placed, no other thread writes the memory, because the vCPUs are held (see
 * vm-shared-state.ts) or have not started. Pages that are taken beside running vCPUs may be torn,
 * and are replaced (vm/snapshot/ram-copy.ts).
 */

import { savedStateError } from '../io-request/saved-state.js';

const PAGE_BYTES = 4096;
const PAGE_WORDS = PAGE_BYTES / 4;
/** A copy comes in pieces of this size, each of which a host compresses or writes at once. */
export const PIECE_BYTES = 2 ** 20;
const PAGES_PER_PIECE = PIECE_BYTES / PAGE_BYTES;

export interface SparsePages {
  /** The numbers of the pages, ascending: first page and count of each run. */
  readonly runs: readonly number[];
  /** The pages, one after the other, PIECE_BYTES in each piece but the last. */
  readonly pieces: readonly Uint8Array<ArrayBuffer>[];
}

/** Pages that are excluded, for example those of another memory in the same buffer. */
export interface PageRange {
  readonly first: number;
  /** Exclusive. */
  readonly end: number;
}

const NO_PAGES: PageRange = { first: 0, end: 0 };

/**
 * Copies the pages of `memory` that are not all zeros, of those that `isWanted`. The memory begins
 * at a multiple of 4 bytes.
 */
export function takePages(memory: Uint8Array, isWanted: (page: number) => boolean = () => true): SparsePages {
  const words = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength >> 2);
  const runs: number[] = [];
  let count = 0;
  for (let page = 0; page < memory.length / PAGE_BYTES; page++) {
    if (!isWanted(page) || isZero(words, page * PAGE_WORDS)) continue;
    count++;
    const last = runs.length - 1;
    if (last > 0 && (runs[last - 1] as number) + (runs[last] as number) === page)
      runs[last] = (runs[last] as number) + 1;
    else runs.push(page, 1);
  }
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let left = count; left > 0; left -= PAGES_PER_PIECE)
    pieces.push(new Uint8Array(Math.min(left, PAGES_PER_PIECE) * PAGE_BYTES));
  eachPart({ runs, pieces }, (piece, at, address, length) => piece.set(memory.subarray(address, address + length), at));
  return { runs, pieces };
}

/** Writes `pages` into `memory`, whose other bytes stay. `checkPages` has checked them. */
export function placePages(memory: Uint8Array, pages: SparsePages): void {
  eachPart(pages, (piece, at, address, length) => memory.set(piece.subarray(at, at + length), address));
}

/**
 * Checks pages that may be hostile: ascending, within `bytes` of memory, without those of `except`,
 * and complete. `owner` is for messages. Throws SNAPSHOT_INVALID.
 */
export function checkPages({ runs, pieces }: SparsePages, owner: string, bytes: number, except = NO_PAGES): void {
  const pages = bytes / PAGE_BYTES;
  let next = 0;
  for (let index = 0; index < runs.length; index += 2) {
    const [first = 0, count = 0] = [runs[index], runs[index + 1]];
    const end = first + count;
    if (count < 1 || first < next || end > pages || (first < except.end && end > except.first))
      throw savedStateError(owner, `has ${count} pages from page ${first} of ${pages}`);
    next = end;
  }
  const expected = bytesOfRuns(runs);
  const isComplete = pieces.every(
    ({ length }, index) => length === Math.min(PIECE_BYTES, expected - index * PIECE_BYTES),
  );
  if (!isComplete || pieces.length !== Math.ceil(expected / PIECE_BYTES))
    throw savedStateError(owner, `lacks pages: ${expected} bytes were expected`);
}

/** Bytes of the pages in `runs`. */
export function bytesOfRuns(runs: readonly number[]): number {
  let pages = 0;
  for (let index = 1; index < runs.length; index += 2) pages += runs[index] as number;
  return pages * PAGE_BYTES;
}

/** Calls `visit` for each stretch that is contiguous in a piece and in memory. */
function eachPart(
  { runs, pieces }: SparsePages,
  visit: (piece: Uint8Array, at: number, address: number, length: number) => void,
): void {
  let at = 0;
  for (let index = 0; index < runs.length; index += 2) {
    let address = (runs[index] as number) * PAGE_BYTES;
    const end = address + (runs[index + 1] as number) * PAGE_BYTES;
    while (address < end) {
      const inPiece = at % PIECE_BYTES;
      const length = Math.min(end - address, PIECE_BYTES - inPiece);
      visit(pieces[(at - inPiece) / PIECE_BYTES] as Uint8Array, inPiece, address, length);
      at += length;
      address += length;
    }
  }
}

/** Eight words at a time, which takes half as long as one at a time. */
function isZero(words: Int32Array, first: number): boolean {
  const word = (at: number): number => words[at] as number;
  for (let at = first; at < first + PAGE_WORDS; at += 8) {
    const some = word(at) | word(at + 1) | word(at + 2) | word(at + 3);
    if ((some | word(at + 4) | word(at + 5) | word(at + 6) | word(at + 7)) !== 0) return false;
  }
  return true;
}
