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
  readonly #ranges: readonly MemoryRange[];

  /** Takes the state of `buffer` but for the guest's `ram` and for `heap`, which is free and of which nobody expects anything. */
  constructor(buffer: ArrayBufferLike, ram: MemoryRange, heap: MemoryRange) {
    const [first, second] = ram.start < heap.start ? [ram, heap] : [heap, ram];
    this.#ranges = [
      { start: 0, end: first.start },
      { start: first.end, end: second.start },
      { start: second.end, end: buffer.byteLength },
    ];
    this.#eachBlock(buffer, (start, block) => {
      if (!isZero(block)) this.#blocks.set(start, Buffer.from(block));
    });
  }

  /** Bytes that are kept. */
  get size(): number {
    let bytes = 0;
    for (const block of this.#blocks.values()) bytes += block.length;
    return bytes;
  }

  /** What the memory grew by since then stays as it is: the allocator does not know of it any more. */
  restore(buffer: ArrayBufferLike): void {
    this.#eachBlock(buffer, (start, block) => {
      const saved = this.#blocks.get(start);
      if (saved !== undefined) saved.copy(block);
      // A block that nobody touched has no memory behind it yet: reading it does not change that, writing would.
      else if (!isZero(block)) block.fill(0);
    });
  }

  #eachBlock(buffer: ArrayBufferLike, visit: (start: number, block: Buffer) => void): void {
    for (const { start: first, end } of this.#ranges)
      for (let start = first; start < end; start += BLOCK_BYTES)
        visit(start, Buffer.from(buffer, start, Math.min(BLOCK_BYTES, end - start)));
  }
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

function isZero(block: Buffer): boolean {
  return block.equals(block.length === BLOCK_BYTES ? ZEROS : ZEROS.subarray(0, block.length));
}
