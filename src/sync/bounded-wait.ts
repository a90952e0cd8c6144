/**
 * Bounded waits: a promise against a timer, for steps that must not hang because a thread or a
 * module does. None of them leaves a timer behind.
 */

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** setTimeout fires a larger delay at once. Treat it as no limit. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Settles as `promise` does, or as `onTimeout` returns or throws after `limitMs`. */
export async function withTimeout<Value, Late>(
  limitMs: number,
  promise: Promise<Value>,
  onTimeout: () => Late,
): Promise<Value | Late> {
  if (limitMs > LONGEST_TIMER_MS) return promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
  try {
    return await Promise.race([promise, limit.then(onTimeout)]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when `promise` resolves or after `limitMs`. Rejects when `promise` rejects first. */
export async function atMost(limitMs: number, promise: Promise<unknown>): Promise<void> {
  await withTimeout(limitMs, promise, () => undefined);
}
