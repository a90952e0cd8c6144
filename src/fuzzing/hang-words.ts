/**
 * The words that HangWatch and its thread share: how many inputs began, the length of the last one,
 * and its bytes.
 *
 * Ordering: the bytes are published by the store of LENGTH and the addition to COUNT behind it. The
 * watching thread reads them only after COUNT stood still for the time limit, when the hung thread
 * writes no more.
 */

export const HangWord = { COUNT: 0, LENGTH: 1, BYTES: 2 } as const;
/** Longest input, in bytes. */
const MAX_BYTES = 1 << 20;
export const HANG_WORDS = HangWord.BYTES + MAX_BYTES / 4;

export function inputBytes(words: SharedArrayBuffer): Uint8Array {
  return new Uint8Array(words, 4 * HangWord.BYTES, MAX_BYTES);
}
