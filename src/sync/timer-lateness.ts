/**
 * Timer lateness: distinguishes a time limit that expired from one whose thread could not run.
 *
 * A timer measures wall-clock time. If another device computes for seconds in the same thread, the
 * process is stopped and continued, or a debugger holds it, then the timer fires late, and what it
 * waits for may be ready in a queue that the event loop has not read yet. Such a timer proves
 * nothing. So a time limit is waited for in beats. A beat that fires late by more than a threshold
 * is a hold of the thread, and the limit begins again.
 *
 * Called by: hsm/time-limit.ts and fair-timeout.ts.
 */

/**
 * The longest beat, in ms. A hold that ends before its beat does is not noticed: it takes less than
 * a beat of the limit.
 */
export const BEAT_MS = 250;
/**
 * The delay of the timer that judges. A timer that is armed by another timer fires in a later turn
 * of the event loop, after one pass over ready I/O.
 */
export const JUDGE_MS = 1;
/**
 * A limit begins again at most this many times. Afterwards each hold only extends it by its own
 * length. A thread that is held again and again must not keep a limit from ever expiring.
 */
export const MAX_FRESH_PERIODS = 16;

// Lateness, in ms, up to which a timer counts as in time. Timers are coarse: a host is late by a
// few ms without any hold.
const MIN_THRESHOLD_MS = 5;
const MAX_THRESHOLD_MS = 50;

/**
 * Returns for how many ms the thread was held. 0: the timer, due at `dueMs`, fired in time. The
 * threshold is a quarter of the limit, at least 5 and at most 50 ms: a short limit has to notice
 * short holds.
 */
export function heldMs(dueMs: number, nowMs: number, limitMs: number): number {
  const threshold = Math.min(Math.max(limitMs / 4, MIN_THRESHOLD_MS), MAX_THRESHOLD_MS);
  const lateMs = nowMs - dueMs;
  return lateMs > threshold ? lateMs : 0;
}

/** A source of time and timers. Tests replace it. */
export interface Timing {
  /** Monotonic, in ms. */
  now(): number;
  /** Calls back after `ms`, at most 2^31 − 1. */
  start(callback: () => void, ms: number): unknown;
  stop(timer: unknown): void;
}
