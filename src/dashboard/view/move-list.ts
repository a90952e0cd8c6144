/**
 * MoveList: the latest moves for the timeline, newest last, with a limit. While paused it does not
 * change and counts the moves that it misses. Each move has the time since the request's move
 * before it.
 */

import { SLOT_COUNT } from '../../io-request/layout.js';
import type { MoveRow } from '../protocol.js';

/** Enough to scroll back, few enough to draw. */
export const MAX_LISTED_MOVES = 1000;

export interface ListedMove extends MoveRow {
  /** Counts up while the page is open. */
  readonly key: number;
  /** Since the request's move before it. Undefined for the first, or if it is not known. */
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

  /**
   * Moves after the list's first that are not in it: dropped by the server, or missed while paused.
   */
  get missed(): number {
    return this.#missed;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    // The next move may not follow these.
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
