/**
 * MemoryArena: memory of this process over which files of other programs can be mapped, so that
 * both sides use the same pages.
 *
 * Called by: vfio-user/dma-map.ts, through `Host.openMemoryArena`.
 * Implementation: node/linux/memory-arena.ts.
 */

export interface MemoryArena {
  /** What is not mapped reads as 0 until it is written. */
  readonly buffer: SharedArrayBuffer;
  /**
   * Maps `length` bytes of the file behind `descriptor`, from `fileOffset` on, at `offset` of the
   * buffer. All three are multiples of a page. Returns false if the system refuses, if the file is
   * too short, or if its owner could shorten it later: an access would then end this process. The
   * descriptor stays the caller's.
   */
  map(offset: number, length: number, descriptor: number, fileOffset: number): boolean;
  /** The range is memory of this process alone again, which is 0. */
  unmap(offset: number, length: number): void;
}
