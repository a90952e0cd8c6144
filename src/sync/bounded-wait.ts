/** Waiting with an end: for life-cycle steps, which must not hang because a thread does. */

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Above it setTimeout fires at once: 24 days are no limit. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Resolves when `promise` settles well or after `limitMs`, whichever is first; rejects when it does. Leaves no timer. */
export async function atMost(limitMs: number, promise: Promise<unknown>): Promise<void> {
  if (limitMs > LONGEST_TIMER_MS) {
    await promise;
    return;
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, limitMs)));
  try {
    await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
