/**
 * EventCounts: the shared words by which threads wait (`Atomics.wait` with the value read before).
 *
 * Such a word counts events, and is only compared with what its waiter read. So a state holds no
 * count. It holds whether the waiter has read the word and may wait by it, and whether the word was
 * added to since. That leaves a fraction of the states.
 *
 * A word that is used in another way, as that of a mutex, is made an ordinary one: the search
 * begins again, and the word's value is part of the state.
 */

import { NOT_ASYNC, OperationKind, WaitResult } from '../machine/operation.js';
import { Relearn, Violation } from './violation.js';
import type { LocalState } from './learned-thread.js';
import type { Sleepers } from './sleepers.js';
import type { WordUses } from './word-uses.js';

// What the state holds in place of the word's value.
/** Not read since the last wait: additions make no difference. */
const UNREAD = 0;
/** Read, and added to since. */
const CHANGED = 1;
/** Read. */
const ARMED = 2;
/**
 * Added to CHANGED or ARMED: since then the waiter has made a plain read of a shared word. A
 * processor may make that read before the waiter arms, so it orders nothing.
 */
const UNORDERED = 4;

/** What it needs of the state space. */
export interface CountedSpace {
  readonly words: Int32Array;
  readonly uses: WordUses;
  readonly sleepers: Sleepers;
  set(at: number, value: number): void;
  at(thread: number): LocalState;
  nameOf(thread: number): string;
  isExit(place: number): boolean;
}

export class EventCounts {
  readonly #space: CountedSpace;

  constructor(space: CountedSpace) {
    this.#space = space;
  }

  /**
   * The result of an operation on such a word. Undefined: the thread sleeps. `place`: see
   * WordPlaces.
   */
  resultOf(thread: number, choice: number, { operation, kind, place }: LocalState): number | undefined {
    const space = this.#space;
    const word = space.words[place] as number;
    switch (kind) {
      case OperationKind.LOAD:
        if (!space.uses.waits(thread, place)) return this.#giveUp(place);
        space.set(place, ARMED);
        return 0;
      case OperationKind.ADD:
        if ((word & ARMED) !== 0) space.set(place, word ^ ARMED ^ CHANGED);
        return 0;
      case OperationKind.NOTIFY:
        this.notify(place);
        return 0;
      case OperationKind.WAIT:
        if (!space.sleepers.isRunning(thread)) {
          space.sleepers.goOn(thread);
          return choice === WaitResult.TIMED_OUT ? WaitResult.TIMED_OUT : WaitResult.OK;
        }
        this.#take(thread, place, word);
        if ((word & CHANGED) !== 0) return WaitResult.NOT_EQUAL;
        space.sleepers.fallAsleep(thread);
        return undefined;
      case OperationKind.WAIT_ASYNC:
        this.#take(thread, place, word);
        return (word & CHANGED) !== 0 ? NOT_ASYNC : space.sleepers.wait(thread, place, operation.other);
      default:
        return this.#giveUp(place);
    }
  }

  /** The thread has made a plain read of a shared word. */
  readPlainly(thread: number): void {
    const space = this.#space;
    for (const place of space.uses.countsOf(thread)) {
      const word = space.words[place] as number;
      if (word !== UNREAD && !space.isExit(place)) space.set(place, word | UNORDERED);
    }
  }

  notify(place: number): number {
    return this.#space.sleepers.notify(place, (thread) => this.#space.at(thread).place);
  }

  /** For a word that changes once, and whose waiter waits for that from the beginning. */
  changeOnce(place: number): void {
    this.#space.set(place, CHANGED);
    this.notify(place);
  }

  /** The word was an ordinary one until here: a thread is about to wait by it if it is `value`. */
  convert(place: number, value: number): void {
    this.#space.set(place, this.#space.words[place] === value ? ARMED : CHANGED);
  }

  /**
   * The thread writes: it polls by reading, so it has found work and does not wait by what it read.
   */
  disarm(thread: number): void {
    for (const place of this.#space.uses.disarmedBy(thread)) this.#space.set(place, UNREAD);
  }

  #giveUp(place: number): never {
    this.#space.uses.makeOrdinary(place);
    throw new Relearn('a word by which a thread waits is not an event count');
  }

  /** The thread waits by what it read. The word is UNREAD then. */
  #take(thread: number, place: number, word: number): void {
    if ((word & UNORDERED) !== 0)
      throw new Violation(`${this.#space.nameOf(thread)} parks after a poll that is not ordered: it may miss its work`);
    // UNREAD already: the thread wrote between its last poll and its wait, and `disarm` dropped
    // what it read. That must not happen for this word: the search begins again and keeps it.
    if (word === UNREAD && !this.#space.isExit(place)) this.#space.uses.keepArmed(place);
    this.#space.set(place, UNREAD);
  }
}
