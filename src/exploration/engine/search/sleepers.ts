/**
 * Sleepers: which threads sleep on which word, blocked in Atomics.wait or with a promise of
 * Atomics.waitAsync, and which were woken but did not run yet. It keeps that in words of the state:
 * one for each thread, and WAITS for its promises.
 *
 * Called by: StateSpace and its parts. A thread that sleeps stands at its WAIT operation, which
 * names the word.
 */

import { SAFETY_NET_MS } from '../machine/operation.js';
import type { StateWords } from './state-words.js';

/** Asynchronous waits that a thread may have at a time. */
export const WAITS = 4;

// The word of a thread. AWAKENED: notified, and its next move is to return from its WAIT.
const RUNNING = 0;
const ASLEEP = 1;
const AWAKENED = 2;
const DEAD = 3;
/**
 * The word of an asynchronous wait is 8 times the place of the awaited word plus these bits, or 0.
 * WAITING: not notified yet. TIMED: it may end by time. NOTIFIED: the loop has not taken it yet. A
 * place is a word's index in the state (word-places.ts).
 */
const WAITING = 1;
const NOTIFIED = 2;
const TIMED = 4;

export class Sleepers {
  readonly #state: StateWords;
  readonly #threadCount: number;
  readonly #safetyNetsFire: boolean;

  /**
   * Uses the words from `threadCount` on: one for each thread, then WAITS for each. (Before them
   * are the threads' local states.) `safetyNetsFire`: whether waits of SAFETY_NET_MS and more may
   * end by time.
   */
  constructor(state: StateWords, threadCount: number, safetyNetsFire: boolean) {
    this.#state = state;
    this.#threadCount = threadCount;
    this.#safetyNetsFire = safetyNetsFire;
  }

  /** Alive, and neither asleep nor about to return from a sleep. */
  isRunning(thread: number): boolean {
    return this.#flag(thread) === RUNNING;
  }

  isAsleep(thread: number): boolean {
    return this.#flag(thread) === ASLEEP;
  }

  isDead(thread: number): boolean {
    return this.#flag(thread) === DEAD;
  }

  fallAsleep(thread: number): void {
    this.#setFlag(thread, ASLEEP);
  }

  /** The thread returns from its WAIT. */
  goOn(thread: number): void {
    this.#setFlag(thread, RUNNING);
  }

  die(thread: number): void {
    this.#setFlag(thread, DEAD);
  }

  /** Whether a wait with this timeout may end by time, which is then a choice of the search. */
  mayTimeOut(ms: number): boolean {
    return ms < SAFETY_NET_MS || (this.#safetyNetsFire && ms !== Infinity);
  }

  /** Returns the number of the new wait, the lowest that is free. */
  wait(thread: number, place: number, timeoutMs: number): number {
    for (let wait = 0; wait < WAITS; wait++) {
      if (this.#waitWord(thread, wait) !== 0) continue;
      this.#setWait(thread, wait, place * 8 + WAITING + (this.mayTimeOut(timeoutMs) ? TIMED : 0));
      return wait;
    }
    throw new Error(`a thread has more than ${WAITS} asynchronous waits`);
  }

  isNotified(thread: number, wait: number): boolean {
    return (this.#waitWord(thread, wait) & NOTIFIED) !== 0;
  }

  isTimed(thread: number, wait: number): boolean {
    return (this.#waitWord(thread, wait) & TIMED) !== 0;
  }

  endWait(thread: number, wait: number): void {
    this.#setWait(thread, wait, 0);
  }

  /**
   * Wakes all that sleep on a place and returns how many. `placeOf` gives the place on which a
   * thread is blocked.
   */
  notify(place: number, placeOf: (thread: number) => number): number {
    let count = 0;
    for (let thread = 0; thread < this.#threadCount; thread++) {
      if (this.isAsleep(thread) && placeOf(thread) === place) {
        this.#setFlag(thread, AWAKENED);
        count++;
      }
      for (let wait = 0; wait < WAITS; wait++) {
        if (!this.#isWaiting(thread, wait, place)) continue;
        this.#setWait(thread, wait, place * 8 + NOTIFIED);
        count++;
      }
    }
    return count;
  }

  /**
   * Wakes one of those that sleep on a place and returns 1, or 0 if no thread sleeps there.
   * `choice` counts them in the order of their threads.
   */
  notifyOne(place: number, choice: number, placeOf: (thread: number) => number): number {
    let left = choice;
    for (let thread = 0; thread < this.#threadCount; thread++) {
      if (this.isAsleep(thread) && placeOf(thread) === place && left-- === 0) {
        this.#setFlag(thread, AWAKENED);
        return 1;
      }
      for (let wait = 0; wait < WAITS; wait++) {
        if (!this.#isWaiting(thread, wait, place) || left-- !== 0) continue;
        this.#setWait(thread, wait, place * 8 + NOTIFIED);
        return 1;
      }
    }
    return 0;
  }

  /** How many sleep on a place, blocked or with a promise. */
  count(place: number, placeOf: (thread: number) => number): number {
    let count = 0;
    for (let thread = 0; thread < this.#threadCount; thread++) {
      if (this.isAsleep(thread) && placeOf(thread) === place) count++;
      for (let wait = 0; wait < WAITS; wait++) if (this.#isWaiting(thread, wait, place)) count++;
    }
    return count;
  }

  #isWaiting(thread: number, wait: number, place: number): boolean {
    const word = this.#waitWord(thread, wait);
    return word >> 3 === place && (word & WAITING) !== 0;
  }

  #flag(thread: number): number {
    return this.#state.words[this.#threadCount + thread] as number;
  }

  #setFlag(thread: number, flag: number): void {
    this.#state.set(this.#threadCount + thread, flag);
  }

  #waitWord(thread: number, wait: number): number {
    return this.#state.words[this.#waitAt(thread, wait)] as number;
  }

  #setWait(thread: number, wait: number, word: number): void {
    this.#state.set(this.#waitAt(thread, wait), word);
  }

  #waitAt(thread: number, wait: number): number {
    return this.#threadCount * 2 + thread * WAITS + wait;
  }
}
