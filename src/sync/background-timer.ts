/**
 * A timer that does not keep the process alive, as Node's timers do by default.
 *
 * Called by: host-timing.ts, for time limits; SystemClock, for the timers of devices.
 */

export type BackgroundTimer = ReturnType<typeof setTimeout>;

/** Calls back after `ms`, which is at most 2^31 − 1. End it with clearTimeout. */
export function startBackgroundTimer(callback: () => void, ms: number): BackgroundTimer {
  const timer = setTimeout(callback, ms);
  // In a browser a timer is a number.
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
