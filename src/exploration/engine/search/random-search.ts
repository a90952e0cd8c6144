/**
 * Random search: seeded schedules of worlds that are too large for an exhaustive search. Each runs
 * the rewritten code itself, forward only.
 *
 * The next thread is chosen evenly or by priorities (PCT: Burckhardt and others, "A randomized
 * scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010). By priorities, the thread
 * with the highest one moves, and at a few random moments that thread falls to the lowest. A bug
 * that needs d such moments is found with a probability that has a known lower bound.
 *
 * Evenly chosen schedules are fair. One that does not end within `maxMoves` is a starvation.
 *
 * Called by: explore.ts.
 */

import { choiceOf, threadOf } from './move.js';
import { scheduleStep, type ScheduleStep } from './schedule-step.js';
import type { StateSpace } from './state-space.js';
import { Violation } from './violation.js';

export type Scheduling = 'even' | 'priorities';

export interface RandomRun {
  readonly seed: number;
  readonly moves: number;
  readonly violation: { readonly message: string; readonly steps: readonly ScheduleStep[] } | undefined;
}

/** Moves after which a schedule counts as endless. Schedules that end have some hundreds. */
export const MAX_MOVES = 20_000;
/** Moments at which the highest priority falls. */
const CHANGES = 3;
/** About how many moves a schedule has. The moments of change are drawn from that. */
const EXPECTED_MOVES = 300;

/** Runs one schedule. `space` is a fresh one, whose threads do not learn. */
export function runRandomly(space: StateSpace, seed: number, scheduling: Scheduling, maxMoves = MAX_MOVES): RandomRun {
  const random = randomNumbers(seed);
  const steps: ScheduleStep[] = [];
  space.onStep = (thread, choice, operation) => steps.push(scheduleStep(thread, choice, operation));
  const choose = scheduling === 'even' ? evenly(random) : byPriority(random, space.threads.length);
  const moves: number[] = [];
  let count = 0;
  try {
    for (; ; count++) {
      moves.length = 0;
      space.moves(moves);
      if (moves.length === 0) break;
      // Priorities may starve a thread that waits for a short timer. Only even choices must come to
      // an end.
      if (count >= maxMoves && scheduling === 'even')
        throw new Violation(`no end after ${count} moves: a thread starves`);
      if (count >= maxMoves) return { seed, moves: count, violation: undefined };
      const move = choose(moves, count);
      space.move(threadOf(move), choiceOf(move));
    }
    space.watcher?.end();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return { seed, moves: count, violation: { message: error.message, steps } };
  }
  return { seed, moves: count, violation: undefined };
}

/** Returns one of `moves`, packed. `count`: moves made so far. */
type Choose = (moves: readonly number[], count: number) => number;

function evenly(random: (below: number) => number): Choose {
  return (moves) => moves[random(moves.length)] ?? 0;
}

function byPriority(random: (below: number) => number, threadCount: number): Choose {
  /** Threads, highest priority first. */
  const order = Array.from({ length: threadCount }, (_, thread) => thread);
  for (let at = order.length - 1; at > 0; at--) {
    const other = random(at + 1);
    [order[at], order[other]] = [order[other] ?? 0, order[at] ?? 0];
  }
  const changes = new Set(Array.from({ length: CHANGES }, () => random(EXPECTED_MOVES)));
  return (moves, count) => {
    const highest = order.find((thread) => moves.some((move) => threadOf(move) === thread)) ?? 0;
    if (changes.has(count)) order.push(...order.splice(order.indexOf(highest), 1));
    const own = moves.filter((move) => threadOf(move) === highest);
    return own[random(own.length)] ?? 0;
  };
}

/** Marsaglia's xorshift: the same numbers for the same seed. */
export function randomNumbers(seed: number): (below: number) => number {
  let x = Math.imul(seed + 1, 0x9e37_79b1) | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}
