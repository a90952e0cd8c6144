/**
 * ThreadMoves: the moves that a thread can make from the present state. Most threads have one, the
 * next operation of their code. An event loop that chooses its next task (PICK), a thread that
 * notifies one of many sleepers, a sleeper and a thread that may die have another number.
 *
 * Called by: StateSpace.
 */

import { OperationKind, TIMED_OUT, WaitResult, WOKEN } from '../machine/operation.js';
import type { LocalState } from './learned-thread.js';
import { DIES, packMove } from './move.js';
import type { Sleepers } from './sleepers.js';
import type { WaitedWords } from './waited-words.js';

/** What it needs of the state space. */
export interface MovingSpace {
  readonly sleepers: Sleepers;
  at(thread: number): LocalState;
}

export class ThreadMoves {
  readonly #space: MovingSpace;
  readonly #waited: WaitedWords;
  readonly #mortals: number;

  /** `mortals`: the threads that may end at any moment, bit n for thread n. */
  constructor(space: MovingSpace, waited: WaitedWords, mortals: number) {
    this.#space = space;
    this.#waited = waited;
    this.#mortals = mortals;
  }

  /**
   * Appends the thread's moves, packed, to `moves`. Returns true if the thread stands at a choice
   * of its event loop that no other thread can notice, change or end. A search may then leave out
   * the moves of the other threads from here.
   */
  append(thread: number, moves: number[]): boolean {
    const { sleepers } = this.#space;
    if (sleepers.isDead(thread)) return false;
    const base = packMove(thread, 0);
    const { kind, operation, place } = this.#space.at(thread);
    const isMortal = (this.#mortals & (1 << thread)) !== 0;
    if (isMortal) moves.push(base + DIES);
    if (sleepers.isAsleep(thread)) {
      // The operation is the WAIT in which it sleeps, and `other` its timeout.
      if (sleepers.mayTimeOut(operation.other)) moves.push(base + WaitResult.TIMED_OUT);
      return false;
    }
    if (kind === OperationKind.DONE) return false;
    if (kind !== OperationKind.PICK) {
      const choices = kind === OperationKind.NOTIFY ? this.#waited.choices(place, operation.value) : 1;
      for (let choice = 0; choice < choices; choice++) moves.push(base + choice);
      return false;
    }
    const { names, numbers } = operation;
    for (let task = 0; task < names.length; task++) moves.push(base + task);
    for (const wait of numbers) {
      if (sleepers.isNotified(thread, wait)) moves.push(base + WOKEN + wait);
      else if (sleepers.isTimed(thread, wait)) moves.push(base + TIMED_OUT + wait);
    }
    // With an asynchronous wait, another thread can add a choice by notifying it.
    return numbers.length === 0 && !isMortal;
  }
}
