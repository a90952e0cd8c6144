/**
 * Sampler: looks at things on a common beat while somebody wants them, so that what is looked at less often falls on a beat
 * of what is looked at more often, and all of it can be told together. While nobody wants anything there is no timer. A beat
 * that was missed is not made up for.
 */

export interface Sampled {
  /** Looked at once in so many beats, however often it is asked for. */
  readonly everyBeats: number;
  readonly isWanted: () => boolean;
  readonly sample: () => void;
}

export class Sampler {
  readonly #beatMs: number;
  readonly #now: () => number;
  /** Those of one beat are looked at in this order. */
  readonly #all: readonly { readonly sampled: Sampled; nextBeat: number }[];
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** `now`: in ms; the host's unless a test holds it. */
  constructor(beatsPerSecond: number, all: readonly Sampled[], now = (): number => performance.now()) {
    this.#beatMs = 1000 / beatsPerSecond;
    this.#now = now;
    this.#all = all.map((sampled) => ({ sampled, nextBeat: 0 }));
  }

  /** Somebody may want something else than before. */
  wake(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const beat = Math.floor(this.#now() / this.#beatMs);
    let next = Infinity;
    for (const one of this.#all) {
      const { everyBeats, isWanted, sample } = one.sampled;
      if (!isWanted()) continue;
      if (one.nextBeat <= beat) {
        one.nextBeat = (Math.floor(beat / everyBeats) + 1) * everyBeats;
        sample();
      }
      next = Math.min(next, one.nextBeat);
    }
    if (next === Infinity) return;
    // Timers count from when the event loop last looked at its clock, which has whole milliseconds.
    this.#timer = setTimeout(() => this.wake(), Math.ceil(next * this.#beatMs - this.#now()) + 1);
    this.#timer.unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}
