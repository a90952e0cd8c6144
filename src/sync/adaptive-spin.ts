/**
 * AdaptiveSpin: how long a waiter looks for its work before it sleeps. One for each waiter, in its thread.
 *
 * A wake-up costs tens of microseconds; looking saves it when the work comes soon and there is a core to look on, and is
 * waste otherwise, even harm where the other side needs this very core. Nobody can know which it will be, so the budget
 * follows what it sees: looks that paid make it as long as they needed, with some reserve; looks that did not are
 * left out, first one, then two, four, up to MAX_SKIPS of the next waits, until a look pays again. A look that lost its
 * core meanwhile and finds no work then is ended at once and counts for several: others want the core more. So a waiter whose looks never pay
 * loses one look in MAX_SKIPS waits. A fixed budget can be set instead.
 */

import { PollDelay } from './poll-delay.js';

/** The longest look of a waiter that has nothing else to do, and of one that has an event loop to turn, in microseconds. */
export const MAX_SPIN_US = 100;
export const MAX_EVENT_LOOP_SPIN_US = 50;
/** The shortest adapted look: about ten hand-overs between two cores. */
const MIN_SPIN_US = 5;
const NS_PER_US = 1000;
/** A look lasts so many times as long as the work needed to come before. */
const RESERVE = 3;
/** Looks in a row that may fail before waits are left out. */
const TOLERATED_MISSES = 2;
export const MAX_SKIPS = 256;
/** Skips after a look that was interrupted. */
const INTERRUPTED_SKIPS = 16;
const POLLS_PER_CLOCK = 64;
/**
 * Looks before the clock is read at all, two or three microseconds (more for a worker with many slots): most work comes
 * within them, and a reading costs as much as two moves of a slot and allocates its number.
 */
const POLLS_BEFORE_CLOCK = 1024;
/** So many looks take well below a microsecond; a thread that was away for so long had lost its core. */
const INTERRUPTED_MS = 0.03;

export interface AdaptiveSpinOptions {
  /** Whether there may be work: a look without ordering is enough, because the waiter acts by an atomic operation, and looks with ordering before it sleeps. */
  readonly hasWorkRelaxed: () => boolean;
  readonly maxUs?: number;
  /** Looks so long each time, in microseconds, after the looks that need no clock; 0 sleeps at once. */
  readonly fixedUs?: number | undefined;
  /** In ms; the host's unless a test holds it. */
  readonly now?: () => number;
}

export class AdaptiveSpin {
  readonly #hasWorkRelaxed: () => boolean;
  readonly #maxUs: number;
  readonly #fixedUs: number | undefined;
  readonly #pollDelay = new PollDelay();
  readonly #now: () => number;
  /** An integer, so that changing it allocates nothing. */
  #ns: number;
  #misses = 0;
  #skips = 0;
  #paid = 0;
  #missed = 0;
  #skipped = 0;

  constructor({ hasWorkRelaxed, maxUs = MAX_SPIN_US, fixedUs, now }: AdaptiveSpinOptions) {
    this.#hasWorkRelaxed = hasWorkRelaxed;
    this.#maxUs = maxUs;
    this.#fixedUs = fixedUs;
    this.#ns = maxUs * NS_PER_US;
    this.#now = now ?? (() => performance.now());
  }

  /** How long the next look may last, in microseconds. */
  get us(): number {
    return this.#fixedUs ?? this.#ns / NS_PER_US;
  }

  /** Looks that found work, that did not, and waits without a look; work that was there at once is not counted. */
  get counts(): { readonly paid: number; readonly missed: number; readonly skipped: number } {
    return { paid: this.#paid, missed: this.#missed, skipped: this.#skipped };
  }

  /** Looks for work as long as the budget lasts. */
  spin(): boolean {
    if (this.#fixedUs === undefined && this.#skips > 0) return this.#skip();
    const us = this.us;
    if (us <= 0) return this.#hasWorkRelaxed();
    const hasWaited = this.#pollDelay.wait();
    if (this.#hasWorkRelaxed()) {
      this.#pollDelay.inTime();
      return hasWaited ? this.#pay(0) : true;
    }
    for (let i = 0; i < POLLS_BEFORE_CLOCK; i++) {
      if (!this.#hasWorkRelaxed()) continue;
      this.#pollDelay.tooEarly(i);
      return this.#pay(0);
    }
    const start = this.#now();
    const end = start + us / 1000;
    let before = start;
    for (;;) {
      for (let i = 0; i < POLLS_PER_CLOCK; i++) if (this.#hasWorkRelaxed()) return this.#pay((before - start) * 1000);
      const now = this.#now();
      if (now - before > INTERRUPTED_MS && this.#fixedUs === undefined) {
        // Whether looking pays cannot be told from work that came while the core was lost.
        if (this.#hasWorkRelaxed()) return true;
        this.#miss(INTERRUPTED_SKIPS);
        return false;
      }
      if (now >= end) {
        this.#miss(0);
        return false;
      }
      before = now;
    }
  }

  /** A wait that is left out, unless the work is there. */
  #skip(): boolean {
    if (this.#hasWorkRelaxed()) return true;
    this.#skips--;
    this.#skipped++;
    return false;
  }

  #pay(afterUs: number): true {
    this.#paid++;
    this.#misses = 0;
    const wanted = Math.trunc(Math.min(this.#maxUs, Math.max(MIN_SPIN_US, afterUs * RESERVE)) * NS_PER_US);
    this.#ns = wanted > this.#ns ? wanted : this.#ns + ((wanted - this.#ns) >> 3);
    return true;
  }

  #miss(skips: number): void {
    this.#missed++;
    this.#misses++;
    // What the work would have needed is not known: the next look has all the time there is.
    this.#ns = this.#maxUs * NS_PER_US;
    const doubled = this.#misses > TOLERATED_MISSES ? 2 ** Math.min(this.#misses - TOLERATED_MISSES, 8) : 0;
    this.#skips = Math.min(MAX_SKIPS, Math.max(skips, doubled));
  }
}
