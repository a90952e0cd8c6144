/**
 * WaitedWords: waits on shared words that are not event counts, such as the word of a mutex. Their
 * values are state like those of other words. (Event counts: event-counts.ts.)
 *
 * Called by: StateSpace and ThreadMoves.
 */

import { WaitResult } from '../machine/operation.js';
import type { LocalState } from './learned-thread.js';
import type { Sleepers } from './sleepers.js';

/** What it needs of the state space. */
export interface WaitingSpace {
  readonly sleepers: Sleepers;
  at(thread: number): LocalState;
}

export class WaitedWords {
  readonly #space: WaitingSpace;
  readonly #placeOf = (thread: number): number => this.#space.at(thread).place;

  constructor(space: WaitingSpace) {
    this.#space = space;
  }

  /**
   * The result of Atomics.wait. Undefined: the thread sleeps. `isEqual`: whether the word has the
   * value by which the thread waits.
   */
  wait(thread: number, choice: number, isEqual: boolean): number | undefined {
    const { sleepers } = this.#space;
    if (!sleepers.isRunning(thread)) {
      sleepers.goOn(thread);
      return choice === WaitResult.TIMED_OUT ? WaitResult.TIMED_OUT : WaitResult.OK;
    }
    if (!isEqual) return WaitResult.NOT_EQUAL;
    sleepers.fallAsleep(thread);
    return undefined;
  }

  /**
   * How many choices a notification of `limit` sleepers has. The language wakes the one that sleeps
   * longest. Here it may be any, because a state does not hold their order: code that needs that
   * order is reported as broken.
   */
  choices(place: number, limit: number): number {
    return limit === 1 ? Math.max(this.#space.sleepers.count(place, this.#placeOf), 1) : 1;
  }

  /** Returns how many were woken. */
  notify(place: number, limit: number, choice: number): number {
    const { sleepers } = this.#space;
    const count = sleepers.count(place, this.#placeOf);
    if (limit >= count) return sleepers.notify(place, this.#placeOf);
    if (limit > 1) throw new Error(`cannot notify ${limit} of ${count} sleepers: give 1, or no count`);
    return limit === 0 ? 0 : sleepers.notifyOne(place, choice, this.#placeOf);
  }
}
