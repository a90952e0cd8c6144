/**
 * A time limit that does not count time in which its own thread could not run: it is waited for in
 * beats, and begins again when one fires late (timer-lateness.ts), at most MAX_FRESH_PERIODS times.
 *
 * Called by: bounded-wait.ts, device-model/placement/ for a device's thread, and dashboard/ for the
 * live page's connections.
 */

import { backgroundTiming } from './host-timing.js';
import { BEAT_MS, heldMs, JUDGE_MS, MAX_FRESH_PERIODS, type Timing } from './timer-lateness.js';

export interface FairTimeout {
  /** No callback follows. */
  stop(): void;
}

/**
 * Calls back once, when `limitMs` have passed while this thread could run, and one more turn of the
 * event loop after that.
 */
export function startFairTimeout(
  callback: () => void,
  limitMs: number,
  timing: Timing = backgroundTiming,
): FairTimeout {
  let remainingMs = limitMs;
  /** How often the limit began again after a hold. */
  let freshPeriods = 0;
  /** The limit is over, and the current beat is the one more turn. */
  let isJudging = false;
  let timer: unknown;
  const arm = (delayMs: number): void => {
    const dueMs = timing.now() + delayMs;
    timer = timing.start(() => {
      const held = heldMs(dueMs, timing.now(), limitMs);
      // The beat's own length, without what a hold added to it.
      remainingMs -= delayMs;
      if (held > 0 && freshPeriods < MAX_FRESH_PERIODS) {
        freshPeriods++;
        remainingMs = limitMs;
      }
      if (remainingMs > 0) {
        isJudging = false;
        arm(Math.min(remainingMs, BEAT_MS));
      } else if (isJudging) callback();
      else {
        isJudging = true;
        arm(JUDGE_MS);
      }
    }, delayMs);
  };
  arm(Math.min(limitMs, BEAT_MS));
  return { stop: () => timing.stop(timer) };
}
