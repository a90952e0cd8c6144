/**
 * PristineState: the core's linear memory as it was before its guest ran, without the guest's RAM.
 *
 * All of the core's state is in that memory, its locks and its heap included, so putting the bytes back is a power-on
 * whatever happened since, even a panic of the core. Most of the memory is zeros then; only blocks that are not are kept.
 */

const BLOCK_BYTES = 0x1_0000;

export interface MemoryRange {
  readonly start: number;
  readonly end: number;
}

export class PristineState {
  readonly #blocks = new Map<number, Buffer>();
  readonly #ram: MemoryRange;

  /** Takes the state of `buffer` but for the RAM. What is inside of `untouched` is known to be zeros and not looked at. */
  constructor(buffer: ArrayBufferLike, ram: MemoryRange, untouched: MemoryRange) {
    this.#ram = ram;
    this.#eachBlock(buffer, (start, block) => {
      if (start >= untouched.start && start + block.length <= untouched.end) return;
      if (!isZero(block)) this.#blocks.set(start, Buffer.from(block));
    });
  }

  /** Bytes that are kept. */
  get size(): number {
    let bytes = 0;
    for (const block of this.#blocks.values()) bytes += block.length;
    return bytes;
  }

  /** What the memory grew by since then becomes zeros, as new memory is. */
  restore(buffer: ArrayBufferLike): void {
    this.#eachBlock(buffer, (start, block) => {
      const saved = this.#blocks.get(start);
      // The last block may be longer than it was.
      if (saved !== undefined) block.fill(0, saved.copy(block));
      // A block that nobody touched has no memory behind it yet: reading it does not change that, writing would.
      else if (!isZero(block)) block.fill(0);
    });
  }

  #eachBlock(buffer: ArrayBufferLike, visit: (start: number, block: Buffer) => void): void {
    const ranges = [
      [0, this.#ram.start],
      [this.#ram.end, buffer.byteLength],
    ] as const;
    for (const [from, to] of ranges)
      for (let start = from; start < to; start += BLOCK_BYTES)
        visit(start, Buffer.from(buffer, start, Math.min(BLOCK_BYTES, to - start)));
  }
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

function isZero(block: Buffer): boolean {
  return block.equals(block.length === BLOCK_BYTES ? ZEROS : ZEROS.subarray(0, block.length));
}
