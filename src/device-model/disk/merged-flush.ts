/**
 * MergedFlush: one flush for all callers that ask while another one is under way.
 *
 * A flush that is under way may have begun before the caller's writes were finished. So callers
 * that ask meanwhile share the next one, and at most two are pending.
 *
 * Called by: VirtioBlock and Qcow2Image.
 */

export class MergedFlush {
  readonly #flush: () => Promise<void>;
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
  }

  /** Resolves after a flush that began after this call, or at it. Rejects as that flush does. */
  run(): Promise<void> {
    // First: the current one may have ended, and the next one not begun yet.
    if (this.#next !== undefined) return this.#next;
    if (this.#current === undefined) return this.#begin();
    this.#next = this.#current
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#begin();
      });
    return this.#next;
  }

  #begin(): Promise<void> {
    const current = this.#flush().finally(() => {
      if (this.#current === current) this.#current = undefined;
    });
    this.#current = current;
    return current;
  }
}
