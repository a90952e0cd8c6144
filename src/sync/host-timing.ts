/**
 * The host's clock and timers, as Timing.
 *
 * Called by: fair-timeout.ts, bounded-wait.ts and the HSM's TimeLimit, as the default of their
 * `timing`. Tests give another one.
 */

import { startBackgroundTimer, type BackgroundTimer } from './background-timer.js';
import type { Timing } from './timer-lateness.js';

const now = (): number => performance.now();

/** Its timers do not keep the process alive. */
export const backgroundTiming: Timing = {
  now,
  start: startBackgroundTimer,
  stop: (timer) => clearTimeout(timer as BackgroundTimer | undefined),
};

/** Its timers keep the process alive. */
export const foregroundTiming: Timing = { ...backgroundTiming, start: setTimeout };
