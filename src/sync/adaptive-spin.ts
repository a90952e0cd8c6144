/**
 * AdaptiveSpin: how long a waiter polls before it parks, adaptive spin-then-park. One for each
 * waiter.
 *
 *              work came                       work came
 *        ┌────────────────────┐          ┌────────────────────┐
 *        ▼                    │          ▼                    │
 *      idle ──▶ delay ──▶ spin ──▶ (miss: back off) ──▶ armed ──▶ parked
 *        │                                               ▲ ▲        │
 *        └── back-off: this wait does not spin ──────────┘ └─ rung ─┘
 *        └────────── AdaptiveSpin ──────────┘            └─ Doorbell ─┘
 *
 * - delay: the time in which the work never came before. The waiter stays off the cache line, which
 *   the other side needs for its own store. The block layer's hybrid polling does the same
 *   (PollDelay below).
 * - spin: polls until the work comes or the budget is used up. The budget grows and shrinks with
 *   what past spins needed, as KVM's halt polling does. A wake-up costs tens of microseconds, which
 *   a spin that pays off saves.
 * - back-off: after TOLERATED_MISSES misses in a row, each further one leaves out the spins of the
 *   next 2, 4, 8, … up to MAX_SKIPS waits, until one pays off again. A waiter whose spins never
 *   pay off loses one spin in MAX_SKIPS waits.
 * - wake-up: a waiter that has just woken the other side on another CPU spins for as long as such
 *   wake-ups have taken, so that two sides whose wake-ups take longer than their spins meet again.
 * - armed, parked: see doorbell.ts. This class decides only whether and how long to spin. It shares
 *   no memory.
 *
 * Called by: the waiting thread, through Doorbell or in a loop of its own.
 * Callers must: act on a true result by an atomic operation. The poll that found the work may have
 * been relaxed.
 * Threads: one waiter's own.
 */

import type { Poll } from './poll.js';
import type { PlacingWaker } from './waker.js';

/**
 * The longest adapted spin, in microseconds: of a thread with nothing else to do, and of one with
 * an event loop to turn.
 */
export const MAX_SPIN_US = 100;
export const MAX_EVENT_LOOP_SPIN_US = 50;
/** The shortest adapted spin: about ten hand-overs between two cores. */
const MIN_SPIN_US = 5;
const NS_PER_US = 1000;
/** A spin lasts this many times as long as the work took before. */
const RESERVE = 3;
/** Spins in a row that may miss before waits go without one. */
const TOLERATED_MISSES = 2;
/** The limit of the back-off, 2^MAX_BACK_OFF waits. */
export const MAX_SKIPS = 256;
const MAX_BACK_OFF = 8;
/** Waits without a spin after one that was preempted. */
const PREEMPTED_SKIPS = 16;
/**
 * A spin for a side that was just woken, in microseconds: limits and first guess. It replaces an
 * adapted spin that is shorter.
 */
const MIN_WAKE_UP_US = 200;
const MAX_WAKE_UP_US = 1000;
const FIRST_WAKE_UP_US = 500;
/** Polls between two readings of the clock, once the polls that need no clock are over. */
const POLLS_PER_CLOCK = 64;
/**
 * Polls in a row before the waiter does anything else: reads the clock, or polls with ordering.
 * They take two or three microseconds, more for a worker with many slots. Most work comes within
 * them, and reading the clock costs as much as two transitions of a slot and allocates a number.
 */
const POLLS_PER_ROUND = 1024;
/**
 * POLLS_PER_CLOCK polls take well below a microsecond. A thread that needed this long was
 * preempted.
 */
const PREEMPTED_MS = 0.03;

/**
 * The longest delay before the first poll, in steps of about 1 ns. Work is found at most this much
 * too late.
 */
export const MAX_DELAY_STEPS = 512;
/**
 * How much longer the delay becomes when the first poll came too early. A poll in time makes it one
 * step shorter.
 */
const STEPS_UP = 8;
/**
 * Work that comes this many polls after the first one is an outlier, which the delay does not learn
 * from.
 */
const OUTLIER_POLLS = 256;

/** What PollDelay.poll returns if the work did not come. */
const NOT_FOUND = -1;

export interface AdaptiveSpinOptions {
  /** The longest adapted spin, in microseconds. Default: MAX_SPIN_US. */
  readonly maxUs?: number;
  /**
   * Spins this long each time, in microseconds, after the polls that need no clock. 0 does not
   * spin. Default: adaptive.
   */
  readonly fixedUs?: number | undefined;
  /**
   * Of the waiting thread, where each side has a CPU of its own. A spin then also lasts as long as
   * a wake-up takes, if this thread has just woken the other side.
   */
  readonly waker?: PlacingWaker | undefined;
  /** In ms. Default: the host's clock. */
  readonly now?: () => number;
}

export class AdaptiveSpin {
  readonly #maxUs: number;
  readonly #fixedUs: number | undefined;
  readonly #delay = new PollDelay();
  readonly #now: () => number;
  readonly #waker: PlacingWaker | undefined;
  /** How long a spin for a side that was just woken lasts. An integer, as #ns. */
  #wakeUpNs = FIRST_WAKE_UP_US * NS_PER_US;
  /** The adapted length of a spin. An integer, so that changing it allocates nothing. */
  #ns: number;
  /** Spins in a row that missed. */
  #misses = 0;
  /** Waits that are still to go without a spin. */
  #skips = 0;
  // See `counts`.
  #paid = 0;
  #missed = 0;
  #skipped = 0;

  constructor({ maxUs = MAX_SPIN_US, fixedUs, waker, now }: AdaptiveSpinOptions = {}) {
    // A fixed spin adapts to nothing, so it does not follow the waker either.
    this.#waker = fixedUs === undefined ? waker : undefined;
    this.#maxUs = maxUs;
    this.#fixedUs = fixedUs;
    this.#ns = maxUs * NS_PER_US;
    this.#now = now ?? (() => performance.now());
  }

  /** How long the next spin may last, in microseconds. */
  get us(): number {
    return this.#fixedUs ?? this.#ns / NS_PER_US;
  }

  /**
   * For tests: spins that found work, spins that did not, and waits without a spin. Work that was
   * there at once is not counted.
   */
  get counts(): { readonly paid: number; readonly missed: number; readonly skipped: number } {
    return { paid: this.#paid, missed: this.#missed, skipped: this.#skipped };
  }

  /**
   * Polls until the work comes (true) or the budget is used up (false). A wait that the back-off
   * leaves without a spin polls once.
   */
  spin(poll: Poll): boolean {
    if (this.#fixedUs === undefined && this.#skips > 0) return this.#skip(poll);
    if (this.us <= 0) return poll.relaxed();
    // Work at the very first poll has shown nothing about spinning, unless there was a delay.
    const isDelayed = this.#delay.steps > 0;
    const polls = this.#delay.poll(poll);
    if (polls === NOT_FOUND) return this.#pollByClock(poll);
    return polls > 0 || isDelayed ? this.#pay(0) : true;
  }

  /**
   * Polls until the work comes, however long that takes, and never parks: ACRN's completion
   * polling, which gives a processor away for the shortest answer. A compiler may
   * hoist a plain load out of a loop (ECMA-262, "Shared Memory Guidelines"), which would make the
   * loop endless. So every round of relaxed polls ends with an ordered one.
   */
  spinUntil(poll: Poll): void {
    if (this.#delay.poll(poll) !== NOT_FOUND) return;
    while (!poll.ordered()) for (let i = 0; i < POLLS_PER_ROUND; i++) if (poll.relaxed()) return;
  }

  /** The rest of a spin, after the polls that need no clock. */
  #pollByClock(poll: Poll): boolean {
    const start = this.#now();
    // Misses in a row show that the other side does not answer at once, woken or not.
    const isWakingUp = this.#waker?.isOn === true && !this.#waker.wasAwake && this.#misses <= TOLERATED_MISSES;
    const end = start + Math.max(this.us, isWakingUp ? this.#wakeUpNs / NS_PER_US : 0) / 1000;
    let before = start;
    for (;;) {
      for (let i = 0; i < POLLS_PER_CLOCK; i++) {
        if (!poll.relaxed()) continue;
        const afterUs = (before - start) * 1000;
        if (isWakingUp) this.#learnWakeUp(afterUs);
        return this.#pay(afterUs);
      }
      const now = this.#now();
      if (now - before > PREEMPTED_MS && this.#fixedUs === undefined) {
        // Work that came during a preemption does not show whether spinning pays off: it is neither
        // paid nor missed.
        if (poll.relaxed()) return true;
        // The core is contended: back off harder.
        this.#miss(PREEMPTED_SKIPS);
        return false;
      }
      if (now >= end) {
        this.#miss(0);
        return false;
      }
      before = now;
    }
  }

  /** A wake-up took `us`: moves the guess by an eighth of the difference. */
  #learnWakeUp(us: number): void {
    const wanted = Math.trunc(Math.min(MAX_WAKE_UP_US, Math.max(MIN_WAKE_UP_US, us * RESERVE)) * NS_PER_US);
    this.#wakeUpNs += (wanted - this.#wakeUpNs) >> 3;
  }

  #setSkips(skips: number): void {
    this.#skips = skips;
    if (this.#waker !== undefined) this.#waker.willSpin = skips === 0;
  }

  /** A wait without a spin. */
  #skip(poll: Poll): boolean {
    if (poll.relaxed()) return true;
    this.#setSkips(this.#skips - 1);
    this.#skipped++;
    return false;
  }

  /** A spin found work, `afterUs` after its first reading of the clock. 0: before that. */
  #pay(afterUs: number): true {
    this.#paid++;
    this.#misses = 0;
    // Where each side has a CPU nothing is gained by parking early, and a turn of the other side's
    // event loop takes longer than its other answers.
    if (this.#waker?.isOn === true) return true;
    const wanted = Math.trunc(Math.min(this.#maxUs, Math.max(MIN_SPIN_US, afterUs * RESERVE)) * NS_PER_US);
    // Grow at once, shrink by an eighth of the difference.
    this.#ns = wanted > this.#ns ? wanted : this.#ns + ((wanted - this.#ns) >> 3);
    return true;
  }

  /** A spin found no work. At least `skips` waits go without one. */
  #miss(skips: number): void {
    this.#missed++;
    this.#misses++;
    // How long the work would have taken is unknown: the next spin gets the whole budget.
    this.#ns = this.#maxUs * NS_PER_US;
    const doubled = this.#misses > TOLERATED_MISSES ? 2 ** Math.min(this.#misses - TOLERATED_MISSES, MAX_BACK_OFF) : 0;
    this.#setSkips(Math.min(MAX_SKIPS, Math.max(skips, doubled)));
  }
}

/**
 * PollDelay: the delay before the first poll. Every poll takes the word's cache line from the core
 * that is about to write it, and that core has to fetch the line back first. A poll that comes too
 * early thus delays the work by as much as a hand-over takes. The delay follows the time that the
 * work usually takes, so that about one first poll in STEPS_UP is too early. Exported for its test.
 */
export class PollDelay {
  #steps = 0;
  /** The result of the delay loop, so that the compiler does not drop the loop. */
  #sum = 0;

  /** The delay, in steps of about 1 ns. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Delays, then polls for one round. Returns the number of polls before the one that found the
   * work, or NOT_FOUND.
   */
  poll(poll: Poll): number {
    this.#wait();
    if (poll.relaxed()) {
      if (this.#steps > 0) this.#steps--;
      return 0;
    }
    for (let polls = 1; polls <= POLLS_PER_ROUND; polls++) {
      if (!poll.relaxed()) continue;
      if (polls <= OUTLIER_POLLS) this.#steps = Math.min(MAX_DELAY_STEPS, this.#steps + STEPS_UP);
      return polls;
    }
    return NOT_FOUND;
  }

  #wait(): void {
    let sum = this.#sum;
    for (let i = this.#steps; i > 0; i--) sum = (Math.imul(sum, 7) + i) | 0;
    this.#sum = sum;
  }
}
