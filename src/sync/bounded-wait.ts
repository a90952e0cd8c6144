/**
 * Bounded waits: a promise against a timer, for steps that must not hang because a thread or a
 * module does. None of them leaves a timer behind. Their timers keep the process alive: the caller
 * has steps to do after the wait.
 *
 * Called by: the VM's life cycle and the wait for its devices (vm/), CLEAR (hsm/), the command
 * line, and fuzzing/.
 */

import { startFairTimeout, type FairTimeout } from './fair-timeout.js';
import { foregroundTiming } from './host-timing.js';

/** 24 days, in ms. From here on a limit counts as none: setTimeout takes at most an int32. */
const MAX_LIMIT_MS = 2 ** 31;

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Settles as `promise` does, or as `onTimeout` returns or throws after `limitMs`. The work behind
 * `promise` is not cancelled. Time in which this thread could not run does not count. From
 * MAX_LIMIT_MS on there is no limit.
 */
export async function withTimeout<Value, Late>(
  limitMs: number,
  promise: Promise<Value>,
  onTimeout: () => Late,
): Promise<Value | Late> {
  if (limitMs >= MAX_LIMIT_MS) return promise;
  let timeout: FairTimeout | undefined;
  const limit = new Promise<void>((resolve) => (timeout = startFairTimeout(resolve, limitMs, foregroundTiming)));
  try {
    return await Promise.race([promise, limit.then(onTimeout)]);
  } finally {
    timeout?.stop();
  }
}

/** Resolves when `promise` resolves or after `limitMs`. Rejects when `promise` rejects first. */
export async function atMost(limitMs: number, promise: Promise<unknown>): Promise<void> {
  await withTimeout(limitMs, promise, () => undefined);
}
