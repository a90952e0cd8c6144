/**
 * PristineState: a snapshot of the core's linear memory from before its guest ran, without the
 * guest's RAM.
 *
 * The core's CPU, locks and heap are in that memory. So restoring the bytes undoes whatever
 * happened since, even a panic of the core. The guest's RAM stays as it is. What lies outside of
 * the memory (stack pointer, translations, interrupt controllers, clock), Core resets itself.
 *
 * Before the guest runs, most of the memory is zeros. Only the blocks that are not are kept.
 *
 * Called by: Core, at its creation and before each start but the first.
 * Threads: only the vCPU's thread, which runs the core, uses it. No guest code runs meanwhile.
 */

import { coreWords } from './core-memory.js';

/** The unit that is kept, or left out as zeros. */
const BLOCK_BYTES = 0x1_0000;

export interface MemoryRange {
  readonly start: number;
  readonly end: number;
}

export class PristineState {
  readonly #blocks = new Map<number, Int32Array>();
  readonly #ranges: readonly MemoryRange[];

  /**
   * Takes the snapshot of `buffer` without the guest's `ram` and without `heap`: the inside of the
   * heap's free piece. The restored allocator takes it for free, so its content does not matter.
   * The allocator's own words are outside of it. All bounds are multiples of 4.
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

/** Eight words at a time, which takes half as long as one at a time. */
function isZero(words: Int32Array): boolean {
  const last = words.length - (words.length % 8);
  const word = (at: number): number => words[at] as number;
  for (let at = 0; at < last; at += 8) {
    const some = word(at) | word(at + 1) | word(at + 2) | word(at + 3);
    if ((some | word(at + 4) | word(at + 5) | word(at + 6) | word(at + 7)) !== 0) return false;
  }
  return words.subarray(last).every((value) => value === 0);
}
