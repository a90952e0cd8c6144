/**
 * WordUses: which threads use which shared words, and so which steps are private: no other thread
 * can notice them. Words are named by their places (word-places.ts).
 *
 * Called by: StateSpace for each step, EventCounts.
 *
 * That is not known in advance. A search records the uses that it sees, and they count from the
 * next search on. A search that saw a new use relied on what was wrong, and has to be run again.
 */

import { OperationKind } from '../machine/operation.js';
import { CAPACITY } from './state-words.js';
import { Relearn } from './violation.js';

export class WordUses {
  /** A thread used a word that it was not known to use. */
  hasNewUse = false;
  /** By place, bit n for thread n. */
  readonly #readers = new Int32Array(CAPACITY);
  readonly #writers = new Int32Array(CAPACITY);
  readonly #seenReading = new Int32Array(CAPACITY);
  readonly #seenWriting = new Int32Array(CAPACITY);
  readonly #owners = new Int32Array(CAPACITY);
  /** By place: the thread that waits on it, plus 1. */
  readonly #waiters = new Int32Array(CAPACITY);
  /** Words by which threads wait without using them as event counts. */
  readonly #ordinary = new Set<number>();
  /** By thread: the words of `countsOf`. */
  readonly #counts: number[][] = Array.from({ length: 32 }, () => []);
  /** By thread: the words of `disarmedBy`. */
  readonly #eventCounts: number[][] = Array.from({ length: 32 }, () => []);

  /** The watcher sees to it that no other thread uses the word while this one does. */
  own(thread: number, place: number): void {
    this.#owners[place] = (this.#owners[place] as number) | (1 << thread);
  }

  note(thread: number, kind: OperationKind, place: number): void {
    if (place < 0) return;
    if (kind === OperationKind.WAIT || kind === OperationKind.WAIT_ASYNC) this.#noteWaiter(thread, place);
    const users = isRead(kind) ? this.#seenReading : this.#seenWriting;
    const bit = 1 << thread;
    if (((users[place] as number) & bit) !== 0) return;
    users[place] = (users[place] as number) | bit;
    this.hasNewUse = true;
  }

  /** All uses that were seen count from now on. */
  learn(): void {
    this.#readers.set(this.#seenReading);
    this.#writers.set(this.#seenWriting);
    this.hasNewUse = false;
  }

  /** Whether a thread waits by the word. */
  isEventCount(place: number): boolean {
    return this.#waiters[place] !== 0;
  }

  waiterOf(place: number): number | undefined {
    const waiter = this.#waiters[place] as number;
    return waiter === 0 ? undefined : waiter - 1;
  }

  /** The words by which a thread waits without a write between its last poll and the wait. */
  disarmedBy(thread: number): readonly number[] {
    return this.#eventCounts[thread] as readonly number[];
  }

  /** The words by which a thread waits. */
  countsOf(thread: number): readonly number[] {
    return this.#counts[thread] as readonly number[];
  }

  /** The waiter does write in between. */
  keepArmed(place: number): void {
    for (const places of this.#eventCounts) if (places.includes(place)) places.splice(places.indexOf(place), 1);
    this.hasNewUse = true;
  }

  /** The word is not used as an event count: its value is state. */
  makeOrdinary(place: number): void {
    this.keepArmed(place);
    for (const places of this.#counts) if (places.includes(place)) places.splice(places.indexOf(place), 1);
    this.#waiters[place] = 0;
    this.#ordinary.add(place);
  }

  isOrdinary(place: number): boolean {
    return this.#ordinary.has(place);
  }

  waits(thread: number, place: number): boolean {
    return this.#waiters[place] === thread + 1;
  }

  /** Known from another search: the thread waits by the word. */
  addWaiter(thread: number, place: number): void {
    this.#waiters[place] = thread + 1;
    this.#eventCounts[thread]?.push(place);
    this.#counts[thread]?.push(place);
  }

  /** Whether no other thread can notice this step or change its result. */
  isPrivate(thread: number, kind: OperationKind, place: number): boolean {
    const own = 1 << thread;
    switch (kind) {
      case OperationKind.NOTE:
      case OperationKind.CRASH:
        return true;
      case OperationKind.WAIT:
      case OperationKind.WAIT_ASYNC:
      case OperationKind.PICK:
      case OperationKind.DONE:
        return false;
      case OperationKind.READ:
      case OperationKind.WRITE:
        if (((this.#owners[place] as number) & own) !== 0) return true;
    }
    const writers = this.#writers[place] as number;
    return ((isRead(kind) ? writers : writers | (this.#readers[place] as number)) & ~own) === 0;
  }

  #noteWaiter(thread: number, place: number): void {
    if (this.waits(thread, place) || this.isOrdinary(place)) return;
    if (this.isEventCount(place)) {
      this.makeOrdinary(place);
      throw new Relearn('a second thread waits on a word');
    }
    this.addWaiter(thread, place);
    this.hasNewUse = true;
  }
}

function isRead(kind: OperationKind): boolean {
  switch (kind) {
    case OperationKind.READ:
    case OperationKind.LOAD:
    case OperationKind.WAIT:
    case OperationKind.WAIT_ASYNC:
      return true;
    default:
      return false;
  }
}
