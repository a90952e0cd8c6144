/**
 * Poll: whether the work that a waiter waits for has come.
 *
 * Called by: AdaptiveSpin and Doorbell. Implemented by: each waiter, for what it waits for.
 *
 * Both methods answer the same question, at a different price. Neither may change anything.
 */

export interface Poll {
  /**
   * Plain loads, for loops. A plain load does not order the loads after it, and a compiler may
   * hoist it out of a loop. So the result is a hint: act on it by an atomic operation, and do not
   * loop over it without a bound.
   */
  relaxed(): boolean;
  /**
   * Atomic loads. This is the last check before a thread parks, so it must see all work that was
   * published.
   */
  ordered(): boolean;
}

/**
 * A poll for a waiter that does not spin for long: `hasWork` uses atomic loads, or state of its own
 * thread.
 */
export class OrderedPoll implements Poll {
  readonly #hasWork: () => boolean;

  constructor(hasWork: () => boolean) {
    this.#hasWork = hasWork;
  }

  relaxed(): boolean {
    return this.#hasWork();
  }

  ordered(): boolean {
    return this.#hasWork();
  }
}
