/**
 * DoorbellCounts: the words on which threads wait, the counts of doorbells' rings. Such a word is only compared with what
 * its waiter read before. So in a state it holds no count, but whether its waiter has read it and may wait by it, and
 * whether it was added to since.
 */

import { NOT_ASYNC, OperationKind, WaitResult } from '../machine/operation.js';
import type { LocalState } from './learned-thread.js';
import type { StateSpace } from './state-space.js';

/** Not read since the last wait: additions make no difference. */
const UNREAD = 0;
/** Read, and added to since. */
const RUNG = 1;
/** Read. */
const ARMED = 2;

export class DoorbellCounts {
  readonly #space: StateSpace;

  constructor(space: StateSpace) {
    this.#space = space;
  }

  /** The result of an operation on such a word. Undefined: the thread sleeps. */
  resultOf(thread: number, choice: number, { operation, kind, place }: LocalState): number | undefined {
    const space = this.#space;
    const word = space.words[place] as number;
    switch (kind) {
      case OperationKind.LOAD:
        if (!space.uses.waits(thread, place)) throw new Error('a count of rings is read by another than its waiter');
        space.set(place, ARMED);
        return 0;
      case OperationKind.ADD:
        if (word === ARMED) space.set(place, RUNG);
        return 0;
      case OperationKind.NOTIFY:
        this.notify(place);
        return 0;
      case OperationKind.WAIT:
        if (!space.sleepers.isRunning(thread)) {
          space.sleepers.goOn(thread);
          return choice === WaitResult.TIMED_OUT ? WaitResult.TIMED_OUT : WaitResult.OK;
        }
        this.#take(place, word);
        if (word === RUNG) return WaitResult.NOT_EQUAL;
        space.sleepers.fallAsleep(thread);
        return undefined;
      case OperationKind.WAIT_ASYNC:
        this.#take(place, word);
        return word === RUNG ? NOT_ASYNC : space.sleepers.wait(thread, place, operation.other);
      default:
        throw new Error(`operation ${kind} on the word of a doorbell`);
    }
  }

  notify(place: number): number {
    return this.#space.sleepers.notify(place, (thread) => this.#space.at(thread).place);
  }

  /** For a word that changes once, and whose waiter waits for that from the beginning. */
  ringOnce(place: number): void {
    this.#space.set(place, RUNG);
    this.notify(place);
  }

  /** Only now it is seen to be a doorbell, by a thread that is about to wait if it is `value`; it was a count until here. */
  convert(place: number, value: number): void {
    this.#space.set(place, this.#space.words[place] === value ? ARMED : RUNG);
  }

  /** The thread writes: looking for work is reading, so it has found some and does not wait by what it has read. */
  disarm(thread: number): void {
    for (const place of this.#space.uses.disarmedBy(thread)) this.#space.set(place, UNREAD);
  }

  #take(place: number, word: number): void {
    // It does write between its last look and its wait: then the state did not hold what it waits by.
    if (word === UNREAD && !this.#space.isExit(place)) this.#space.uses.keepArmed(place);
    this.#space.set(place, UNREAD);
  }
}
