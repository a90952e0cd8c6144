/**
 * Layout of the memory that HangWatch and its thread share: how many inputs have been started, and
 * the length and bytes of the last one.
 *
 * Called by: hang-watch.ts, which writes, and hang-watch-thread.ts.
 *
 * Ordering: the bytes are published by the store of LENGTH and the addition to COUNT after it. The
 * watching thread reads them only if COUNT has not changed for the time limit: the hung thread no
 * longer writes.
 */

/** Indices of int32 words. */
export const HangWord = { COUNT: 0, LENGTH: 1, BYTES: 2 } as const;
/** Bytes that are kept of an input. Further ones are not saved. */
const MAX_BYTES = 1 << 20;
/** Int32 words of the memory. */
export const HANG_WORDS = HangWord.BYTES + MAX_BYTES / 4;

/** The bytes of the last input, of which LENGTH are valid. */
export function inputBytes(words: SharedArrayBuffer): Uint8Array {
  return new Uint8Array(words, 4 * HangWord.BYTES, MAX_BYTES);
}
