/**
 * BurstPace: which of a slot's requests have all four times, as one side of the slot sees it. Each one that comes later than
 * BURST_MS after the one before. Requests that follow each other more closely are a burst, and of a burst it is every so many:
 * which ones follows from the number of the PENDING event, so that both sides choose the same without asking each other.
 */

/** Requests of a slot that are closer to each other are a burst. */
export const BURST_MS = 0.005;
/**
 * Of a burst, the requests that have all times: more of a slot's first ones, for runs that are short. One such request costs
 * as much as two others, because each side comes later than the other one expects. Powers of two.
 */
export const TIMED_EVERY = 256;
export const TIMED_EVERY_AT_FIRST = 64;
export const FIRST_REQUESTS = 4096;

export class BurstPace {
  readonly #burstMs: number;
  /** In an array of its own, so that changing it allocates nothing. */
  readonly #last = new Float64Array(1);
  #isBurst = false;
  /** Whether the request at hand has all times. */
  isExact = true;

  constructor(burstMs: number) {
    this.#burstMs = burstMs;
  }

  /** The request with PENDING event number `pending` is at hand: a request is two events of that lane. */
  choose(pending: number): boolean {
    const request = pending >>> 1;
    const every = request < FIRST_REQUESTS ? TIMED_EVERY_AT_FIRST : TIMED_EVERY;
    return (this.isExact = !this.#isBurst || (request & (every - 1)) === 0);
  }

  /** One of the side's moves, once for each request. */
  at(nowMs: number): void {
    this.#isBurst = nowMs - (this.#last[0] as number) < this.#burstMs;
    this.#last[0] = nowMs;
  }

  reset(): void {
    this.#isBurst = false;
    this.#last[0] = -Infinity;
  }
}
