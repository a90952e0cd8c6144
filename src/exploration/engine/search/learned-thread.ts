/**
 * LearnedThread: a thread as an automaton. Its local states, the operation in each, and where each
 * result leads.
 *
 * Called by: StateSpace. ExploredWorld creates one for each thread.
 *
 * A local state is a place at which the thread's code waits for the result of an operation, with
 * everything on which its future depends: the operation, its calls with their variables, and the
 * heap that it can reach. Runs in which these agree (machine/heap-fingerprint.ts) are in one local
 * state, and are merged. A spin loop, for example, has one local state however long it spins.
 *
 * Code runs only for a step that was never taken before: the thread is run again from its beginning
 * with the results that lead there, or goes on if it stands there already. All other steps are
 * read from `next`. So a search walks over tables.
 *
 * Without merging each step is the code's own, a local state is a moment of one run, and a search
 * can only go forward. That is for a single run, where learning costs more than it saves.
 */

import { OperationKind, type Operation } from '../machine/operation.js';
import type { Suspendable } from '../machine/shared-memory.js';

/** A thread from its beginning: ThreadLife (machine/thread-life.ts) as the search sees it. */
export interface Life {
  /** Yields each operation and gets its result. */
  readonly run: Suspendable<never>;
  /** Call it before `run` goes on. */
  readonly activate: () => void;
  /** Of everything that can be reached from the thread's roots now. */
  readonly fingerprint: () => string;
}

export interface LocalState {
  readonly operation: Operation;
  readonly kind: OperationKind;
  /** The index of the operation's word in the state. −1: it is about no word. */
  readonly place: number;
  /** By result of the operation: the number of the next local state. */
  readonly next: Map<number, number>;
  /** The number of the local state, and the result, that first led here. */
  readonly from: number;
  readonly by: number;
}

export class LearnedThread {
  readonly name: string;
  readonly states: LocalState[] = [];
  /** Steps of the code itself, not read from the tables. Grows only while something is learned. */
  steps = 0;
  readonly #begin: () => Life;
  readonly #placeOf: (operation: Operation) => number;
  readonly #merges: boolean;
  /** Local states by operation and fingerprint. */
  readonly #known = new Map<string, number>();
  #life: Life;
  /** The local state in which `#life` stands. */
  #at = 0;

  constructor(name: string, begin: () => Life, placeOf: (operation: Operation) => number, merges: boolean) {
    this.name = name;
    this.#begin = begin;
    this.#placeOf = placeOf;
    this.#merges = merges;
    this.#life = begin();
    this.#at = this.#arrive(this.#advance(0), -1, 0);
  }

  /** The local state to which `result` leads from `from`. */
  next(from: number, result: number): number {
    const state = this.states[from] as LocalState;
    const known = state.next.get(result);
    if (known !== undefined) return known;
    if (this.#at !== from) this.#goTo(from);
    const to = this.#arrive(this.#advance(result), from, result);
    this.#at = to;
    state.next.set(result, to);
    return to;
  }

  /** Runs the code to its next operation. The first `result` of a life is ignored. */
  #advance(result: number): Operation {
    this.steps++;
    this.#life.activate();
    return this.#life.run.next(result).value;
  }

  /** The local state in which the code stands now: a known one or a new one. */
  #arrive(operation: Operation, from: number, by: number): number {
    let key: string | undefined;
    if (this.#merges) {
      const { kind, buffer, index, value, other, names, numbers } = operation;
      key = `${kind} ${buffer} ${index} ${value} ${other} ${names.join()} ${numbers.join()} ${this.#life.fingerprint()}`;
      const known = this.#known.get(key);
      if (known !== undefined) return known;
    }
    const number = this.states.length;
    const place = this.#placeOf(operation);
    this.states.push({ operation, kind: operation.kind, place, next: new Map(), from, by });
    if (key !== undefined) this.#known.set(key, number);
    return number;
  }

  /** Runs a new life up to local state `to`. */
  #goTo(to: number): void {
    const results: number[] = [];
    for (let at = to; at > 0; at = (this.states[at] as LocalState).from)
      results.push((this.states[at] as LocalState).by);
    this.#life = this.#begin();
    this.#advance(0);
    for (const result of results.reverse()) this.#advance(result);
    this.#at = to;
  }
}
