/**
 * WordUses: which threads use which shared words, and so which steps are private: no other thread
 * can notice them. Words are named by their places (word-places.ts).
 *
 * Called by: StateSpace for each step, EventCounts.
 *
 * A use is that a thread reads a word, or that it writes it. Uses are not known in advance. So
 * there are two sets: the known ones, on which a search relies throughout, and the seen ones.
 * `learn` makes the seen ones known, between two searches. A search that saw a new use has taken a
 * step for private that was not, and has to be run again (`hasNewUse`).
 *
 * A read is private if no other thread is known to write the word, a write if no other is known to
 * use it at all. A word may also have an owner for a time, which the watcher checks: then plain
 * reads and writes are private even if others use the word at other times.
 *
 * It also says which waited words are event counts (event-counts.ts) and whose. "Ordinary" are the
 * waited words that are not: the state holds their value, as that of any other word.
 */

import { OperationKind } from '../machine/operation.js';
import { CAPACITY } from './state-words.js';
import { Relearn } from './violation.js';

export class WordUses {
  /** A thread used a word, or waited by it, in a way that the current search does not know. */
  hasNewUse = false;
  /** By place, bit n for thread n. */
  readonly #knownReaders = new Int32Array(CAPACITY);
  readonly #knownWriters = new Int32Array(CAPACITY);
  readonly #seenReading = new Int32Array(CAPACITY);
  readonly #seenWriting = new Int32Array(CAPACITY);
  /** Threads that own the word when they make a plain access (SpaceOptions.isOwned). */
  readonly #owners = new Int32Array(CAPACITY);
  /** By place of an event count: the thread that waits by it, plus 1. 0 for all other words. */
  readonly #waiters = new Int32Array(CAPACITY);
  /** Waited words that are not event counts. They never become ones again. */
  readonly #ordinary = new Set<number>();
  /** By thread: the words of `countsOf`. There are at most 32 threads, because uses are bits. */
  readonly #counts: number[][] = Array.from({ length: 32 }, () => []);
  /** By thread: the words of `disarmedBy`. */
  readonly #disarmed: number[][] = Array.from({ length: 32 }, () => []);

  /** The watcher sees to it that no other thread uses the word while this one does. */
  own(thread: number, place: number): void {
    this.#owners[place] = (this.#owners[place] as number) | (1 << thread);
  }

  /** Records a use: the thread has arrived at an operation of this kind on the word. */
  note(thread: number, kind: OperationKind, place: number): void {
    if (place < 0) return;
    if (kind === OperationKind.WAIT || kind === OperationKind.WAIT_ASYNC) this.#noteWaiter(thread, place);
    const users = isRead(kind) ? this.#seenReading : this.#seenWriting;
    const bit = 1 << thread;
    if (((users[place] as number) & bit) !== 0) return;
    users[place] = (users[place] as number) | bit;
    this.hasNewUse = true;
  }

  /** Makes the uses that were seen known. */
  learn(): void {
    this.#knownReaders.set(this.#seenReading);
    this.#knownWriters.set(this.#seenWriting);
    this.hasNewUse = false;
  }

  /** Whether the word is taken for an event count. */
  isEventCount(place: number): boolean {
    return this.#waiters[place] !== 0;
  }

  waiterOf(place: number): number | undefined {
    const waiter = this.#waiters[place] as number;
    return waiter === 0 ? undefined : waiter - 1;
  }

  /** The event counts that a write of the thread disarms: those that it always reads again. */
  disarmedBy(thread: number): readonly number[] {
    return this.#disarmed[thread] as readonly number[];
  }

  /** The event counts of a thread. */
  countsOf(thread: number): readonly number[] {
    return this.#counts[thread] as readonly number[];
  }

  /** The waiter waits by what it read before a write: no write disarms the word from now on. */
  keepArmed(place: number): void {
    for (const places of this.#disarmed) if (places.includes(place)) places.splice(places.indexOf(place), 1);
    this.hasNewUse = true;
  }

  /** The word is not used as an event count after all: its value is state. */
  makeOrdinary(place: number): void {
    this.keepArmed(place);
    for (const places of this.#counts) if (places.includes(place)) places.splice(places.indexOf(place), 1);
    this.#waiters[place] = 0;
    this.#ordinary.add(place);
  }

  isOrdinary(place: number): boolean {
    return this.#ordinary.has(place);
  }

  /** Whether the word is an event count of this thread. */
  waits(thread: number, place: number): boolean {
    return this.#waiters[place] === thread + 1;
  }

  /** The word is an event count of this thread. */
  addWaiter(thread: number, place: number): void {
    this.#waiters[place] = thread + 1;
    this.#disarmed[thread]?.push(place);
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
    const writers = this.#knownWriters[place] as number;
    return ((isRead(kind) ? writers : writers | (this.#knownReaders[place] as number)) & ~own) === 0;
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
