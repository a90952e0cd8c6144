/**
 * PristineState: a snapshot of the core's linear memory from before its guest ran, without the
 * guest's RAM.
 *
 * All of the core's state is in that memory, its locks and its heap included. So restoring the
 * bytes is a power-on whatever happened since, even a panic of the core. Most of the memory is
 * zeros then; only the other blocks are kept.
 *
 * Threads: only the vCPU's thread, which runs the core, uses it. No guest code runs meanwhile.
 */

import { coreWords } from './core-memory.js';

const BLOCK_BYTES = 0x1_0000;

export interface MemoryRange {
  readonly start: number;
  readonly end: number;
}

export class PristineState {
  readonly #blocks = new Map<number, Int32Array>();
  readonly #ranges: readonly MemoryRange[];

  /**
   * Takes the snapshot of `buffer` without the guest's `ram` and without `heap`, which is free and
   * whose content does not matter. All bounds are multiples of 4.
   */
  constructor(buffer: ArrayBufferLike, ram: MemoryRange, heap: MemoryRange) {
    const [first, second] = ram.start < heap.start ? [ram, heap] : [heap, ram];
    this.#ranges = [
      { start: 0, end: first.start },
      { start: first.end, end: second.start },
      { start: second.end, end: buffer.byteLength },
    ];
    this.#eachBlock(buffer, (start, block) => {
      if (!isZero(block)) this.#blocks.set(start, block.slice());
    });
  }

  /** Bytes that are kept. */
  get size(): number {
    let bytes = 0;
    for (const block of this.#blocks.values()) bytes += block.byteLength;
    return bytes;
  }

  /**
   * Memory that was added since the snapshot stays as it is: the restored allocator does not know
   * it.
   */
  restore(buffer: ArrayBufferLike): void {
    this.#eachBlock(buffer, (start, block) => {
      const saved = this.#blocks.get(start);
      if (saved !== undefined) block.set(saved);
      // A block that was never written has no memory behind it. Reading keeps it so, writing would
      // not.
      else if (!isZero(block)) block.fill(0);
    });
  }

  #eachBlock(buffer: ArrayBufferLike, visit: (start: number, block: Int32Array) => void): void {
    for (const { start: first, end } of this.#ranges)
      for (let start = first; start < end; start += BLOCK_BYTES)
        visit(start, coreWords(buffer, start, Math.min(BLOCK_BYTES, end - start) >> 2));
  }
}

/** Eight words at a time, which takes half as long as one. */
function isZero(words: Int32Array): boolean {
  const last = words.length - (words.length % 8);
  const word = (at: number): number => words[at] as number;
  for (let at = 0; at < last; at += 8) {
    const some = word(at) | word(at + 1) | word(at + 2) | word(at + 3);
    if ((some | word(at + 4) | word(at + 5) | word(at + 6) | word(at + 7)) !== 0) return false;
  }
  return words.subarray(last).every((value) => value === 0);
}
