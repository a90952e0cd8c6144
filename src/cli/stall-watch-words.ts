/**
 * The words that StallWatch (stall-watch.ts) and its thread share.
 *
 * Ordering: each word is a count with one writer, loaded alone. Nothing else is published by it.
 */

export const StallWord = {
  /** Counts turns of the watched event loop. */
  BEATS: 0,
  /** Counts the interruptions of the watched thread. */
  INTERRUPTED: 1,
} as const;
export const STALL_WORDS = 2;

/** Interval of beats and of their checks, in ms. */
export const BEAT_MS = 250;
/** An event loop that has not turned for this many checks (2 s) is stalled. */
export const STALL_CHECKS = 8;

/** Symbol.for's key of the global function that StallWatch's thread calls in the watched one. */
export const INTERRUPT_NAME = 'upcall.stall-watch';

export interface StallWatchData {
  readonly words: SharedArrayBuffer;
  /** Where to write that the watched thread cannot be interrupted. */
  readonly fd: number;
}
