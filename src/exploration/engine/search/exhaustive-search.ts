/**
 * ExhaustiveSearch: every state of a state space, depth first, each once.
 *
 * Called by: explore.ts, again and again until a search sees no new use of a word.
 *
 * It counts the states and the schedules (paths from the first state to an end, without circles).
 * It finds what breaks a rule, and sets of states from which no end can be reached however the
 * threads are scheduled.
 *
 * These sets are strongly connected components, found by Tarjan's algorithm: a state is open while
 * it is in a component that may still grow, and closed afterwards. When a component is complete and
 * no move leads out of it, to an end or a closed state, the threads can only go around in it.
 */

import { choiceOf, threadOf, type Move } from './move.js';
import type { StateSpace } from './state-space.js';
import { StateTable } from './state-table.js';
import { Relearn, Violation } from './violation.js';

export interface SearchLimits {
  /** Default: no limit. */
  readonly maxStates?: number | undefined;
  /** Default: no limit. */
  readonly maxSeconds?: number | undefined;
  /** Whether states from which no end can be reached are allowed. Default: as the model says. */
  readonly mayLoopForever?: boolean | undefined;
  /**
   * Called every 32,768 steps of the search, which are moves and returns from a state, and awaited.
   * False stops the search.
   */
  readonly onProgress?: ((states: number, seconds: number, moves: number) => boolean | Promise<boolean>) | undefined;
}

export interface SearchResult {
  readonly states: number;
  readonly moves: number;
  /**
   * Distinct paths through the states to an end. Exact without circles, up to the precision of a
   * number. With circles a lower bound: a path through a state that was open when it was met again
   * is not counted. 0 if the search stopped early.
   */
  readonly schedules: number;
  /** How often the search came to an end or to a known state: the schedules that it ran. */
  readonly runs: number;
  /** States in which no thread can move. */
  readonly ends: number;
  /** Moves of the longest path that the search was on. */
  readonly deepest: number;
  /**
   * False after a violation, at a limit, if `onProgress` stopped it, and if it has to be run again.
   */
  readonly isComplete: boolean;
  readonly violation: { readonly message: string; readonly moves: readonly Move[] } | undefined;
  /**
   * Hashes of the ends, for a test that a reduced search finds those of a full one. What the two
   * searches hold differently at an end is left out (StateSpace.forgetCounts).
   */
  readonly endHashes: ReadonlySet<string>;
}

/** States that a search still visits when it is known that it has to be run again. */
const SPARE_STATES = 20_000;

/**
 * Steps of the search, which are moves and returns from a state, between two checks of the limits.
 */
const PROGRESS_EVERY = 1 << 15;

/** A state on the path from the first state to the present one. */
interface Level {
  /** Packed, and how many of them are tried. */
  readonly moves: number[];
  at: number;
  /** Its number in the table. */
  state: number;
  /** The length of StateWords' log in this state: going back to it makes this the present state. */
  mark: number;
  /** Tarjan's algorithm: the lowest index among the open states that can be reached from here. */
  low: number;
  /** Whether a path from here to an end is known. */
  escapes: boolean;
  /** Schedules counted so far from here to an end. */
  schedules: number;
}

export class ExhaustiveSearch {
  readonly #space: StateSpace;
  readonly #limits: SearchLimits;
  readonly #table = new StateTable();
  /** Tarjan's algorithm: visited states whose component is not complete. */
  readonly #open: number[] = [];
  /** The states of the current path. They are used again: those above #depth are free. */
  readonly #levels: Level[] = [];
  #depth = -1;
  #moves = 0;
  #runs = 0;
  #ends = 0;
  #deepest = 0;
  readonly #endHashes = new Set<string>();

  constructor(space: StateSpace, limits: SearchLimits = {}) {
    this.#space = space;
    this.#limits = limits;
  }

  async run(): Promise<SearchResult> {
    const space = this.#space;
    const started = performance.now();
    let isComplete = true;
    let spare = Infinity;
    let violation: SearchResult['violation'];
    try {
      this.#enter();
      for (let count = 1; this.#depth >= 0; count++) {
        if (count % PROGRESS_EVERY === 0 && (await this.#isOver(started))) {
          isComplete = false;
          break;
        }
        const level = this.#levels[this.#depth] as Level;
        const move = level.moves[level.at];
        if (move === undefined) {
          this.#leave();
          continue;
        }
        space.state.back(level.mark);
        level.at++;
        this.#moves++;
        space.move(threadOf(move), choiceOf(move));
        // A step was taken for private wrongly (word-uses.ts): the caller begins again. Some more
        // states first, which may show other new uses.
        if (space.uses.hasNewUse) {
          isComplete = false;
          if (spare === Infinity) spare = this.#table.count + SPARE_STATES;
          if (this.#table.count >= spare) break;
        }
        this.#arrive(level);
      }
    } catch (error) {
      // As above, but this search cannot go on: the state holds a word in the wrong form.
      if (error instanceof Relearn) isComplete = false;
      else if (!(error instanceof Violation)) throw error;
      else violation = { message: error.message, moves: this.#path() };
    }
    return {
      states: this.#table.count,
      moves: this.#moves,
      schedules: this.#table.count === 0 ? 0 : this.#table.schedules(0),
      runs: this.#runs,
      ends: this.#ends,
      deepest: this.#deepest,
      isComplete: isComplete && violation === undefined,
      violation,
      endHashes: this.#endHashes,
    };
  }

  /** The state after a move is new, open, or closed. `level` is the state before the move. */
  #arrive(level: Level): void {
    const { hashLow, hashHigh } = this.#space.state;
    const known = this.#table.find(hashLow, hashHigh);
    if (known < 0) {
      this.#enter();
      return;
    }
    this.#runs++;
    const order = this.#table.order(known);
    if (order >= 0) level.low = Math.min(level.low, order);
    else {
      // A closed state has a way to an end: otherwise the search would have stopped there, or the
      // model allows loops and does not ask.
      level.escapes = true;
      level.schedules += this.#table.schedules(known);
    }
  }

  /** The present state is new: puts it on the path. */
  #enter(): void {
    const space = this.#space;
    const state = this.#table.add(space.state.hashLow, space.state.hashHigh, this.#open.length);
    const order = this.#open.push(state) - 1;
    this.#depth++;
    if (this.#depth > this.#deepest) this.#deepest = this.#depth;
    let level = this.#levels[this.#depth];
    if (level === undefined)
      this.#levels.push((level = { moves: [], at: 0, state, mark: 0, low: 0, escapes: false, schedules: 0 }));
    level.moves.length = 0;
    level.at = 0;
    level.state = state;
    level.mark = space.state.mark;
    level.low = order;
    level.escapes = false;
    level.schedules = 0;
    space.moves(level.moves);
    if (level.moves.length > 0) return;
    this.#runs++;
    this.#ends++;
    // Only for the hash: going back undoes it.
    space.forgetCounts();
    this.#endHashes.add(`${space.state.hashLow}.${space.state.hashHigh}`);
    level.escapes = true;
    level.schedules = 1;
    space.watcher?.end();
  }

  /** All moves of the last state of the path are tried. */
  #leave(): void {
    const level = this.#levels[this.#depth] as Level;
    this.#table.setSchedules(level.state, level.schedules);
    const isRoot = level.low === this.#table.order(level.state);
    if (isRoot) {
      if (!level.escapes && this.#limits.mayLoopForever !== true)
        throw new Violation('no end can be reached from here: the threads loop forever');
      for (let state = this.#open.pop(); state !== undefined; state = this.#open.pop()) {
        this.#table.close(state);
        if (state === level.state) break;
      }
    }
    this.#depth--;
    const above = this.#levels[this.#depth];
    if (above === undefined) return;
    above.schedules += level.schedules;
    above.escapes ||= level.escapes;
    if (!isRoot) above.low = Math.min(above.low, level.low);
  }

  async #isOver(started: number): Promise<boolean> {
    const seconds = (performance.now() - started) / 1000;
    const { maxStates = Infinity, maxSeconds = Infinity, onProgress } = this.#limits;
    if (this.#table.count > maxStates || seconds > maxSeconds) return true;
    return onProgress !== undefined && !(await onProgress(this.#table.count, seconds, this.#moves));
  }

  /** The moves of the current path, with the last one that was tried. */
  #path(): Move[] {
    return this.#levels.slice(0, this.#depth + 1).flatMap(({ moves, at }) => {
      const move = moves[at - 1];
      return move === undefined ? [] : [{ thread: threadOf(move), choice: choiceOf(move) }];
    });
  }
}
