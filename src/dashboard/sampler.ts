/**
 * Sampler: calls several sources at their own rates from one timer. A source runs on ticks that are
 * multiples of its `everyTicks`, and at once when it becomes needed or a tick was late. Those that
 * are due on one tick run one after the other, so that their data can be sent in one write.
 *
 * Called by: LiveView, whose sources are the slots, moves, tables and interrupts.
 *
 * While no source is needed no timer is armed; the last one fires once more. A missed tick is
 * skipped.
 */

/** Something to sample at a rate of its own. */
export interface SampledSource {
  /**
   * It is sampled at most once between two multiples of this many ticks, no matter how often `wake`
   * is called.
   */
  readonly everyTicks: number;
  readonly isNeeded: () => boolean;
  readonly sample: () => void;
}

export class Sampler {
  readonly #tickMs: number;
  readonly #now: () => number;
  /** Sources due on the same tick are sampled in this order. */
  readonly #sources: readonly {
    readonly source: SampledSource;
    /** The first tick, counted from time 0, at which it may be sampled again. */
    nextTick: number;
  }[];
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** `now`: in ms. Default: the host's clock. */
  constructor(ticksPerSecond: number, sources: readonly SampledSource[], now = (): number => performance.now()) {
    this.#tickMs = 1000 / ticksPerSecond;
    this.#now = now;
    this.#sources = sources.map((source) => ({ source, nextTick: 0 }));
  }

  /**
   * Samples the sources that are due and sets the timer. Call it when a source begins to be needed.
   */
  wake(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const tick = Math.floor(this.#now() / this.#tickMs);
    let next = Infinity;
    for (const entry of this.#sources) {
      const { everyTicks, isNeeded, sample } = entry.source;
      if (!isNeeded()) continue;
      if (entry.nextTick <= tick) {
        entry.nextTick = (Math.floor(tick / everyTicks) + 1) * everyTicks;
        sample();
      }
      next = Math.min(next, entry.nextTick);
    }
    if (next === Infinity) return;
    // A timer counts from the event loop's cached time, which has whole milliseconds. One more
    // millisecond ensures that the tick has come.
    this.#timer = setTimeout(() => this.wake(), Math.ceil(next * this.#tickMs - this.#now()) + 1);
    this.#timer.unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}
