/**
 * MoveList: the latest moves for the timeline, newest last, with a limit. While it is paused it stays as it is and only
 * counts what it does not take. Each move also knows how long after the one before it, of the same request, it came.
 */

import { SLOT_COUNT } from '../../io-request/layout.js';
import type { MoveRow } from '../protocol.js';

/** Enough to scroll back through what one has just seen, few enough to draw. */
export const MAX_LISTED_MOVES = 1000;

export interface ListedMove extends MoveRow {
  /** One more for each, for as long as the page is open. */
  readonly key: number;
  /** Since the same request's move before; undefined for its first, or when that is not known. */
  readonly sinceNs: number | undefined;
}

export class MoveList {
  #moves: ListedMove[] = [];
  #isPaused = false;
  #key = 0;
  #missed = 0;
  readonly #last: (MoveRow | undefined)[] = Array.from({ length: SLOT_COUNT });

  get moves(): readonly ListedMove[] {
    return this.#moves;
  }

  /** Moves that are not in the list although they came after its first: left out by the server, or while paused. */
  get missed(): number {
    return this.#missed;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    // What comes next may not be the move after those.
    this.#last.fill(undefined);
  }

  add(moves: readonly MoveRow[], lost: number): void {
    this.#missed += lost;
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
