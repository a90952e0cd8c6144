/**
 * FreeMemory: the guest memory that an image leaves free, for what its loader adds: descriptor
 * table, stack, boot information, command line.
 *
 * An image may lie anywhere, also below 1 MiB, and its loader has to stay clear of it (Multiboot
 * Specification 0.6.96, 3.3). So no address of the loader's own is fixed.
 *
 * Called by: the loaders of this folder that add something, after they placed the image.
 */

import { tooLarge, endOf, type Piece } from './load-plan.js';
import { BASE_MEMORY, HIGH_MEMORY } from './low-memory.js';

/** Each range starts at a page: kernels reserve and free memory in pages. */
const PAGE = 4096;

/** Below are the interrupt vectors, the BIOS data area and the boot sector's usual place. */
const PREFERRED = 0x1_0000;
/** The interrupt vectors and the BIOS data area have the first page to themselves. */
const LOWEST = 0x1000;

interface Range {
  readonly start: number;
  readonly end: number;
}

export class FreeMemory {
  readonly #memoryBytes: number;
  readonly #taken: Range[];

  /** `image` has everything that is placed already. */
  constructor(memoryBytes: number, image: readonly Piece[]) {
    this.#memoryBytes = memoryBytes;
    this.#taken = image.map((piece) => ({ start: piece.address, end: endOf(piece) }));
  }

  /**
   * The address of `bytes` free bytes, which are taken from now on. Throws IMAGE_TOO_LARGE if no
   * gap is large enough.
   */
  take(bytes: number): number {
    const windows: readonly Range[] = [
      { start: PREFERRED, end: BASE_MEMORY },
      { start: LOWEST, end: PREFERRED },
      { start: HIGH_MEMORY, end: this.#memoryBytes },
    ];
    for (const window of windows) {
      const start = this.#firstFit(window, bytes);
      if (start === undefined) continue;
      this.#taken.push({ start, end: start + bytes });
      return start;
    }
    // An estimate for the message: with the rounding up to a page.
    const end = this.#taken.reduce((highest, range) => Math.max(highest, range.end), HIGH_MEMORY);
    throw tooLarge('the image with its boot information', end + bytes + PAGE, this.#memoryBytes);
  }

  /** Each range in the way moves the candidate to its end, so this ends. */
  #firstFit({ start, end }: Range, bytes: number): number | undefined {
    let candidate = start;
    for (;;) {
      if (candidate + bytes > end) return undefined;
      const inTheWay = this.#taken.find((range) => range.start < candidate + bytes && candidate < range.end);
      if (inTheWay === undefined) return candidate;
      candidate = Math.ceil(inTheWay.end / PAGE) * PAGE;
    }
  }
}
