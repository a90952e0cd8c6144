/**
 * random32: the 32 bits of the guest's RDRAND and RDSEED, from Web Crypto.
 *
 * Called by: Core. Threads: the vCPU's.
 */

/** Drawn in batches: one call for each number takes longer than the number. */
const randomWords = new Int32Array(64);
let randomWordsLeft = 0;

export function random32(): number {
  if (randomWordsLeft === 0) {
    crypto.getRandomValues(randomWords);
    randomWordsLeft = randomWords.length;
  }
  return randomWords[--randomWordsLeft] as number;
}
