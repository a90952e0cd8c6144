/**
 * Views of the core's linear memory: its words, its bytes, its fields.
 *
 * Called by: the files of this folder that read or write the core's memory.
 *
 * Callers must: take new views if they need memory that the core adds later. Older views stay
 * valid.
 *
 * Ordering: the memory is shared because the guest's RAM lies in it. Every other byte is accessed
 * by the vCPU's thread only, which runs the core, so program order is all that its views need. For
 * views of RAM (trapped-ram.ts) the argument of guest-memory.ts holds.
 */

export function coreWords(buffer: ArrayBufferLike, offset: number, count?: number): Int32Array {
  return new Int32Array(buffer, offset, count);
}

export function coreBytes(buffer: ArrayBufferLike, offset: number, count: number): Uint8Array {
  return new Uint8Array(buffer, offset, count);
}

/** Fields of any width; little-endian where the caller says so. */
export function coreFields(buffer: ArrayBufferLike, offset: number, count: number): DataView {
  return new DataView(buffer, offset, count);
}
