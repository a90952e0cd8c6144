/**
 * MoveList: the latest moves (changes of a slot's state) for the page's timeline, newest last, at
 * most MAX_LISTED_MOVES. While paused it does not change, and it counts the moves that it misses.
 * Each move has the time since the previous move of its request.
 *
 * Called by: the live page, with each `moves` message.
 */

import { SLOT_COUNT } from '../../io-request/layout.js';
import type { MoveRow } from '../protocol.js';

/** How many moves are kept: enough to scroll back, few enough to draw. */
export const MAX_LISTED_MOVES = 1000;

export interface ListedMove extends MoveRow {
  /** A number that no other move of the page has, in the order of the list. */
  readonly key: number;
  /** Time since the request's previous move. Undefined for its first move, or if not known. */
  readonly sinceNs: number | undefined;
}

export class MoveList {
  #moves: ListedMove[] = [];
  #isPaused = false;
  #key = 0;
  #missed = 0;
  /** The last move of each slot. */
  readonly #last: (MoveRow | undefined)[] = Array.from({ length: SLOT_COUNT });

  get moves(): readonly ListedMove[] {
    return this.#moves;
  }

  /**
   * How many moves since `clear` are not in the list because the server dropped them, or because it
   * was paused.
   */
  get missed(): number {
    return this.#missed;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    // Moves were missed.
    this.#last.fill(undefined);
  }

  add(moves: readonly MoveRow[], lost: number): void {
    this.#missed += lost;
    // The next move may not be the one after the last listed one.
    if (lost > 0) this.#last.fill(undefined);
    if (this.#isPaused) {
      this.#missed += moves.length;
      return;
    }
    for (const move of moves) {
      const before = this.#last[move.vcpu];
      const isSame = before?.requestNumber === move.requestNumber && move.timeNs >= before.timeNs;
      const sinceNs = isSame && move.isTimed ? move.timeNs - before.timeNs : undefined;
      this.#moves.push({ ...move, key: this.#key++, sinceNs });
      if (move.vcpu < SLOT_COUNT) this.#last[move.vcpu] = move;
    }
    if (this.#moves.length > MAX_LISTED_MOVES) this.#moves = this.#moves.slice(-MAX_LISTED_MOVES);
  }

  clear(): void {
    this.#moves = [];
    this.#missed = 0;
    this.#last.fill(undefined);
  }
}
