/**
 * The checks of the suite. They need no assertion library, so that the suite runs under every test
 * runner and in a browser.
 *
 * Called by: the cases, TestedVm, suite.ts and capability.ts.
 */

/** A hypervisor behaved differently from what the suite expects. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError';
}

/** Thrown out of a case that the hypervisor cannot do. The message is the reason. */
export class CannotDo extends Error {
  override readonly name = 'CannotDo';
}

/** Throws a ConformanceError if `isRight` is false. */
export function check(isRight: boolean, message: string): asserts isRight {
  if (!isRight) throw new ConformanceError(message);
}

/** Compares numbers, texts and lists of them, as text. Throws a ConformanceError if they differ. */
export function equal<T extends number | bigint | string | boolean | undefined>(
  found: T | readonly T[],
  expected: T | readonly T[],
  what: string,
): void {
  const is = text(found);
  const should = text(expected);
  if (is !== should) throw new ConformanceError(`${what}: ${is}, expected ${should}`);
}

function text(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(String).join(', ')}]` : String(value);
}

/** Resolves when `condition` holds. Rejects after `timeoutMs`. */
export async function until(condition: () => boolean, what: string, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    check(performance.now() < end, `${what}: not within ${timeoutMs} ms`);
    await delay(1);
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Rejects if `work` takes longer than `timeoutMs`. */
export async function within<T>(work: Promise<T>, what: string, timeoutMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ConformanceError(`${what}: not within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
