/**
 * Model: the code that shares memory, the threads that run it, and the rules that must hold.
 *
 * A model's functions are ordinary exports of modules over SharedArrayBuffer and Atomics. The
 * explorer rewrites them (code/), runs every interleaving of the threads, and reports a schedule
 * that breaks a rule: an exception in a thread, a thread that waits when no other can move, a state
 * from which no end can be reached, or a rule of `watcher`.
 *
 * Called by: ExploredWorld, for one that a user of `upcall/exploration` provides.
 */

import type { StateSpace } from './search/state-space.js';
import type { LocalState } from './search/learned-thread.js';
import type { Watcher, WordAddress } from './search/space-parts.js';

/** An exported function of the explored code, and its arguments. */
export interface Entry {
  /** Its path from the root of the code (CodeOptions.root), without `.js`. */
  readonly module: string;
  readonly name: string;
  readonly values: readonly unknown[];
}

/** A thread of a model. Threads are numbered in the order of their list. */
export interface ThreadPlan {
  readonly name: string;
  readonly main: Entry;
  /** `workerData` of `node:worker_threads`, read when the thread begins. */
  readonly workerData?: () => unknown;
  /**
   * Before the search, the thread runs alone up to its first operation for which this is true. So
   * its share of setting things up is not interleaved. Threads do so in the order of their list.
   * `state` has the operation at which the thread stands. Default: the thread begins with its first
   * operation.
   */
  readonly startsAt?: (state: LocalState) => boolean;
  /** Whether the thread may end at any moment, as one that is terminated. Default: false. */
  readonly mayDie?: boolean;
  /**
   * The number under which `threadEnd` (probe.ts) reports its end, below 1000 and of this thread
   * alone. Undefined: its end cannot be awaited.
   */
  readonly exit?: number;
  /**
   * Whether it may wait forever at the end, as a server does. Only for models without a watcher.
   */
  readonly mayWait?: boolean;
}

/** Names of shared words, for a schedule that people read. */
export interface WordNaming {
  name(buffer: number, index: number): string;
  value(buffer: number, index: number, value: number): string;
  /** Whether a word is left out of a table that is not complete. */
  isMinor(buffer: number, index: number): boolean;
}

/** A model's parts for one world. */
export interface WorldParts {
  readonly threads: readonly ThreadPlan[];
  /** Default: when no thread can move, each has ended or may wait (EndWatcher). */
  readonly watcher?: Watcher;
  /** Default: by the property of the shared object in which a buffer lies. */
  readonly naming?: (space: StateSpace) => WordNaming;
  /**
   * Whether the watcher sees to it that only this thread uses a word now and up to its next move.
   * It reduces the search (search/word-uses.ts). Default: no word is owned.
   */
  readonly isOwned?: (thread: number, word: WordAddress) => boolean;
}

export interface Model<Shared = unknown> {
  /** Parameters, for the file of a schedule. JSON. */
  readonly plan: unknown;
  /** Makes what the threads share. It runs once for each world, alone. */
  readonly shared: Entry;
  /** `shared` is what that function returned. */
  parts(shared: Shared): WorldParts;
  /**
   * Whether waits of half a second and more may end by time. Default: they are safety nets and
   * never do.
   */
  readonly safetyNetsFire?: boolean;
  /** Whether states are allowed from which no end can be reached. Default: they are a violation. */
  readonly mayLoopForever?: boolean;
}
