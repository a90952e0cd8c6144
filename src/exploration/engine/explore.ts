/**
 * Exploring one model: random schedules first, which show which threads use which words, then every
 * schedule. The search begins again whenever it sees a use that it did not know
 * (search/word-uses.ts). What it finds becomes a schedule that can be replayed.
 *
 * The random schedules only save time. Without them the search would begin again for almost every
 * word. A move is one operation of one thread, with its result (search/move.ts).
 *
 * Called by: users of `upcall/exploration` and explore-main.ts.
 */

import { ExploredWorld } from './explored-world.js';
import type { Model } from './model.js';
import type { ExploredProgram } from './program.js';
import { stepsOf, type Schedule } from './schedule.js';
import { ExhaustiveSearch, type SearchLimits, type SearchResult } from './search/exhaustive-search.js';
import { choiceOf, threadOf } from './search/move.js';
import { randomNumbers, runRandomly, type RandomRun, type Scheduling } from './search/random-search.js';
import { searchShortest } from './search/shortest-search.js';
import { ANY_THREAD, type EventCount } from './search/space-parts.js';
import { Relearn, Violation } from './search/violation.js';

/**
 * Random schedules before a search: this many in a row that show nothing new, and at most
 * MAX_WARM_UPS in all.
 */
const WARM_UPS = 100;
const MAX_WARM_UPS = 20_000;
/** Moves after which a random walk is given up: it may be in a loop. */
const MAX_WARM_UP_MOVES = 2000;
/** Searches until all uses of words are known. A search that sees a new use has to be run again. */
const MAX_RESTARTS = 200;

export interface ExploreOptions extends SearchLimits {
  /** Whether steps that no other thread can notice are made at once (StateSpace). Default: true. */
  readonly reduces?: boolean;
  /**
   * States that may be kept to find the shortest schedule of a violation. Default: 0, which does
   * not try. The schedule is then the one that the search was on.
   */
  readonly shortestWithin?: number;
}

export interface Exploration {
  /** Of the last search. */
  readonly result: SearchResult;
  /** The schedule that leads to the violation. Undefined if no rule broke. */
  readonly schedule: Schedule | undefined;
  readonly seconds: number;
  /** Local states of each thread, by name. */
  readonly localStates: ReadonlyMap<string, number>;
}

/** Searches every schedule of a model. */
export async function explore(
  program: ExploredProgram,
  model: Model,
  options: ExploreOptions = {},
): Promise<Exploration> {
  const started = performance.now();
  const world = new ExploredWorld(program, model, { reduces: options.reduces ?? true });
  const { space } = world;
  warmUp(world);
  let result: SearchResult;
  for (let restarts = 0; ; restarts++) {
    // Mark 0 is the state in which every thread stands where its own work begins (ExploredWorld).
    space.state.back(0);
    space.uses.learn();
    result = await new ExhaustiveSearch(space, {
      mayLoopForever: model.mayLoopForever === true,
      ...options,
    }).run();
    if (result.violation !== undefined || !space.uses.hasNewUse) break;
    if (restarts === MAX_RESTARTS)
      throw new Error(`which threads use which words is not known after ${restarts} searches`);
  }
  const schedule = result.violation === undefined ? undefined : scheduleOf(world, result.violation, options);
  return {
    result,
    schedule,
    seconds: (performance.now() - started) / 1000,
    localStates: new Map(space.threads.map(({ name, states }) => [name, states.length])),
  };
}

function scheduleOf(
  world: ExploredWorld,
  found: NonNullable<SearchResult['violation']>,
  { shortestWithin = 0 }: ExploreOptions,
): Schedule {
  const { space } = world;
  const { plan } = world.model;
  const { eventCounts } = space;
  const shortest = shortestWithin === 0 ? undefined : searchShortest(space, shortestWithin);
  const { message, moves } = shortest ?? found;
  // MixedAccesses remembers every access of the search. So this run may break its rule at an
  // earlier step than the search did, and `run.message` is that rule.
  const run = stepsOf(space, moves);
  return { plan, violation: run.message ?? message, eventCounts, access: space.accesses.brokenWith, steps: run.steps };
}

/**
 * Makes random walks over the learned threads, until they show nothing new. Ignores a violation:
 * the search will find it again. Leaves the space in its first state.
 */
export function warmUp({ space }: ExploredWorld): void {
  const random = randomNumbers(1);
  const moves: number[] = [];
  let quiet = 0;
  for (let walk = 0; walk < MAX_WARM_UPS && quiet < WARM_UPS; walk++) {
    const known = stepsOfCode(space);
    try {
      for (let move = 0; move < MAX_WARM_UP_MOVES; move++) {
        moves.length = 0;
        space.moves(moves);
        const chosen = moves[random(moves.length || 1)];
        if (chosen === undefined) break;
        space.move(threadOf(chosen), choiceOf(chosen));
      }
    } catch (error) {
      if (!(error instanceof Violation || error instanceof Relearn)) throw error;
    }
    space.state.back(0);
    space.uses.learn();
    quiet = stepsOfCode(space) === known ? quiet + 1 : 0;
  }
}

/** Steps of the code itself, which runs only for steps that were never taken (LearnedThread). */
function stepsOfCode({ threads }: ExploredWorld['space']): number {
  return threads.reduce((sum, { steps }) => sum + steps, 0);
}

/** The counts include the schedule that was found, if there is one. */
export interface RandomExploration {
  readonly runs: number;
  readonly moves: number;
  readonly seconds: number;
  readonly schedule: Schedule | undefined;
  /** The seed of the schedule that was found. */
  readonly seed: number | undefined;
}

export interface RandomOptions {
  /** Of the first schedule. Schedule n has `seed` + n. */
  readonly seed: number;
  readonly runs: number;
  /** Default: no limit. */
  readonly maxSeconds?: number | undefined;
  /** Called before every 16th schedule, and awaited. False stops. */
  readonly onProgress?: ((runs: number, seconds: number) => boolean | Promise<boolean>) | undefined;
}

/**
 * Runs seeded random schedules up to the first violation. It alternates between choosing among all
 * moves evenly and by the threads' priorities.
 */
export async function exploreRandomly(
  program: ExploredProgram,
  model: Model,
  options: RandomOptions,
): Promise<RandomExploration> {
  const started = performance.now();
  let moves = 0;
  let eventCounts: readonly EventCount[] = [];
  for (let run = 0; run < options.runs; run++) {
    const seconds = (performance.now() - started) / 1000;
    const isOver = seconds > (options.maxSeconds ?? Infinity);
    if (isOver || (run % 16 === 0 && (await options.onProgress?.(run, seconds)) === false))
      return { runs: run, moves, seconds, schedule: undefined, seed: undefined };
    const world = new ExploredWorld(program, model, { reduces: false, learns: false, eventCounts });
    const scheduling: Scheduling = run % 2 === 0 ? 'even' : 'priorities';
    let result: RandomRun;
    try {
      result = runRandomly(world.space, options.seed + run, scheduling);
    } catch (error) {
      if (!(error instanceof Relearn)) throw error;
      // The same seed again, with one word more that is known to be ordinary. Waiters are not kept:
      // a fresh world finds them itself, and at the same moment in a replay.
      eventCounts = world.space.eventCounts.filter(({ thread }) => thread === ANY_THREAD);
      run--;
      continue;
    }
    const { violation, seed } = result;
    moves += result.moves;
    if (violation === undefined) continue;
    const schedule = { plan: model.plan, violation: violation.message, eventCounts, steps: violation.steps };
    return { runs: run + 1, moves, seconds: (performance.now() - started) / 1000, schedule, seed };
  }
  return {
    runs: options.runs,
    moves,
    seconds: (performance.now() - started) / 1000,
    schedule: undefined,
    seed: undefined,
  };
}
