/** The host's clock and timers, as Timing. */

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
