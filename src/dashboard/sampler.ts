/**
 * Sampler: looks at something so many times a second while somebody wants it, and never more often; while nobody wants
 * anything there is no timer. A look that was late is not made up for.
 */

export interface Sampled {
  readonly perSecond: number;
  readonly isWanted: () => boolean;
  readonly sample: () => void;
}

export class Sampler {
  readonly #all: readonly { readonly sampled: Sampled; nextMs: number }[];
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(all: readonly Sampled[]) {
    this.#all = all.map((sampled) => ({ sampled, nextMs: 0 }));
  }

  /** Somebody may want something else than before. */
  wake(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = performance.now();
    let next = Infinity;
    for (const one of this.#all) {
      if (!one.sampled.isWanted()) continue;
      if (one.nextMs <= now) {
        const period = 1000 / one.sampled.perSecond;
        // On the beat, unless that is lost: then a new one.
        one.nextMs = one.nextMs + 2 * period > now ? one.nextMs + period : now + period;
        one.sampled.sample();
      }
      next = Math.min(next, one.nextMs);
    }
    if (next === Infinity) return;
    this.#timer = setTimeout(() => this.wake(), Math.max(1, Math.ceil(next - performance.now())));
    this.#timer.unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}
