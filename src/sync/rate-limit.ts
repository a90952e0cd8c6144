/**
 * RateLimit: limits events to N per second, counted in windows of one second.
 *
 * Called by: the live page (dashboard/), for the VM's events and a page's messages; acrn-programs/,
 * for the lines of a launcher.
 */

export class RateLimit {
  readonly #perSecond: number;
  #count = 0;
  #windowStartMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Counts one event. Returns false if it exceeds the limit. */
  allows(): boolean {
    const now = performance.now();
    if (now - this.#windowStartMs > 1000) {
      this.#windowStartMs = now;
      this.#count = 0;
    }
    return ++this.#count <= this.#perSecond;
  }
}
