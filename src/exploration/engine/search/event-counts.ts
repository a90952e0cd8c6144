/**
 * EventCounts: the shared words by which threads wait (`Atomics.wait` with the value read before).
 *
 * Called by: StateSpace, for operations on words that WordUses takes for event counts.
 *
 * Such a word counts events, and is only compared with what its waiter read:
 *
 *     waiter                                        other threads
 *     const seen = Atomics.load(words, 0)           publish an event
 *     if (there is no event)                        Atomics.add(words, 0, 1)
 *       Atomics.wait(words, 0, seen)                Atomics.notify(words, 0)
 *
 * Often the other thread adds only if a word says that the waiter is armed, which the waiter has
 * stored before its last poll. Then that poll must be atomic: a processor may make a plain read
 * before the store, and both threads miss each other. So a plain read between the load and the wait
 * is a violation, in any protocol.
 *
 * After a hundred events the word is 100, and nothing else differs from the beginning. So a state
 * holds not the count, but one of three values: UNREAD, ARMED (the waiter has read it and may wait
 * by it) and CHANGED (armed, and added to since: the wait would not sleep). With the two last ones
 * it may hold UNORDERED. Every load of it gives 0, which the waiter only passes on to its wait.
 * That leaves a fraction of the states. ADD and NOTIFY give 0, too: code that uses their results
 * would be explored wrongly.
 *
 * - A word is taken for an event count when a thread first stands at a wait on it. It has this one
 *   waiter.
 * - A word that is used in another way, as that of a mutex, is made an ordinary one (`#giveUp`):
 *   the search begins again, and the word's value is part of the state.
 * - `disarm`: a waiter that writes an ordinary word has found an event, and will read the count
 *   again before it waits. So ARMED and CHANGED make no difference any more, and become UNREAD. If
 *   it does wait by the old value, `#take` notices: the search begins again without disarming that
 *   word.
 */

import { NOT_ASYNC, OperationKind, WaitResult } from '../machine/operation.js';
import { Relearn, Violation } from './violation.js';
import type { LocalState } from './learned-thread.js';
import type { Sleepers } from './sleepers.js';
import type { WordUses } from './word-uses.js';

// What the state holds in place of the word's value.
/** Its waiter has not read it since its last wait or write: additions make no difference. */
const UNREAD = 0;
/** Its waiter has read it, and it was added to since. */
const CHANGED = 1;
/** Its waiter has read it, and it was not added to since. */
const ARMED = 2;
/**
 * Added to CHANGED or ARMED: since then the waiter has made a plain read of a shared word, which
 * orders nothing.
 */
const UNORDERED = 4;

/** What it needs of the state space. A place is a word's index in `words` (word-places.ts). */
export interface CountedSpace {
  readonly words: Int32Array;
  readonly uses: WordUses;
  readonly sleepers: Sleepers;
  set(place: number, value: number): void;
  at(thread: number): LocalState;
  nameOf(thread: number): string;
  /** Whether the word reports a thread's end (`changeOnce`). */
  isExit(place: number): boolean;
}

export class EventCounts {
  readonly #space: CountedSpace;

  constructor(space: CountedSpace) {
    this.#space = space;
  }

  /**
   * The result of an operation on such a word. Undefined: the thread sleeps. `choice`: of the move
   * (move.ts).
   */
  resultOf(thread: number, choice: number, { operation, kind, place }: LocalState): number | undefined {
    const space = this.#space;
    const word = space.words[place] as number;
    const { other: timeoutMs } = operation;
    switch (kind) {
      case OperationKind.LOAD:
        // Another thread may use the count as a number.
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
        // Asleep or woken: this move ends the sleep.
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
        return (word & CHANGED) !== 0 ? NOT_ASYNC : space.sleepers.wait(thread, place, timeoutMs);
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

  /**
   * The word changes for the only time: it reports a thread's end. Its waiter waits by the value 0
   * that it has at first, and never reads it.
   */
  changeOnce(place: number): void {
    this.#space.set(place, CHANGED);
    this.notify(place);
  }

  /** The state held the word's value until here. A thread is about to sleep if it is `value`. */
  convert(place: number, value: number): void {
    this.#space.set(place, this.#space.words[place] === value ? ARMED : CHANGED);
  }

  /** The thread writes an ordinary word, or will not move any more: see the head. */
  disarm(thread: number): void {
    for (const place of this.#space.uses.disarmedBy(thread)) this.#space.set(place, UNREAD);
  }

  #giveUp(place: number): never {
    this.#space.uses.makeOrdinary(place);
    throw new Relearn('a word by which a thread waits is not an event count');
  }

  /** The thread waits by what it read, and will read again before its next wait. */
  #take(thread: number, place: number, word: number): void {
    if ((word & UNORDERED) !== 0)
      throw new Violation(`${this.#space.nameOf(thread)} parks after a poll that is not ordered: it may miss its work`);
    // UNREAD already: the thread wrote between its last read and its wait, and `disarm` dropped
    // what it read. This word must be kept: `hasNewUse` is set, and the search begins again.
    if (word === UNREAD && !this.#space.isExit(place)) this.#space.uses.keepArmed(place);
    this.#space.set(place, UNREAD);
  }
}
