/** The words that HangWatch and its thread share: how many inputs began, the length of the last one, and its bytes. */

export const HangWord = { COUNT: 0, LENGTH: 1, BYTES: 2 } as const;
/** Longest input, in bytes. */
const MAX_BYTES = 1 << 20;
export const HANG_WORDS = HangWord.BYTES + MAX_BYTES / 4;
