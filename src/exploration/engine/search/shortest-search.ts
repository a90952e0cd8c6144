/**
 * Shortest search: the shortest path to a violation, breadth first, counted in moves (one operation
 * that other threads may notice, with the private ones after it).
 *
 * Called by: explore.ts, after an exhaustive search that has found a violation.
 *
 * It keeps every state, so it is for worlds in which a violation is near the beginning. It does not
 * find threads that loop forever: those are no single state.
 */

import { choiceOf, threadOf, type Move } from './move.js';
import type { StateSpace } from './state-space.js';
import { StateTable } from './state-table.js';
import { Relearn, Violation } from './violation.js';

export interface ShortestResult {
  readonly message: string;
  readonly moves: readonly Move[];
  readonly states: number;
}

/** A state whose moves are not tried yet. */
interface Waiting {
  /** From the first state (StateWords.difference). */
  readonly difference: Int32Array;
  /** Its predecessor in the queue, and the packed move that leads from there. */
  readonly from: number;
  readonly move: number;
}

/**
 * Undefined if there is no violation within about `maxStates` states, and if the search would have
 * to begin again (Relearn).
 */
export function searchShortest(space: StateSpace, maxStates: number): ShortestResult | undefined {
  const table = new StateTable();
  // It only grows: states that are done are kept, because paths lead back through them.
  const queue: Waiting[] = [{ difference: new Int32Array(0), from: -1, move: 0 }];
  const moves: number[] = [];
  space.state.back(0);
  // `order` is for Tarjan's algorithm, which is not used here.
  table.add(space.state.hashLow, space.state.hashHigh, 0);
  for (let at = 0; at < queue.length; at++) {
    const { difference } = queue[at] as Waiting;
    space.state.goTo(difference);
    moves.length = 0;
    space.moves(moves);
    let tried = 0;
    try {
      if (moves.length === 0) space.watcher?.end();
      for (const move of moves) {
        tried = move;
        space.state.goTo(difference);
        space.move(threadOf(move), choiceOf(move));
        const { hashLow, hashHigh } = space.state;
        if (table.find(hashLow, hashHigh) >= 0) continue;
        table.add(hashLow, hashHigh, 0);
        queue.push({ difference: space.state.difference(), from: at, move });
      }
    } catch (error) {
      if (error instanceof Relearn) return undefined;
      if (!(error instanceof Violation)) throw error;
      // Without moves, it is the rule for ends that broke.
      const last = moves.length === 0 ? [] : [tried];
      return { message: error.message, moves: [...pathTo(queue, at), ...last.map(toMove)], states: table.count };
    }
    if (table.count > maxStates) return undefined;
  }
  return undefined;
}

function pathTo(queue: readonly Waiting[], to: number): Move[] {
  const moves: Move[] = [];
  for (let at = to; at > 0; at = (queue[at] as Waiting).from) moves.push(toMove((queue[at] as Waiting).move));
  return moves.reverse();
}

function toMove(move: number): Move {
  return { thread: threadOf(move), choice: choiceOf(move) };
}
