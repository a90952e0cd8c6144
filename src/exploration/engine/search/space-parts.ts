/**
 * Parts of a state space that others see: its options, its watcher, and what the watcher may ask
 * it.
 *
 * Read by: StateSpace and its parts; ExploredWorld, which gives the options; EndWatcher and the
 * watchers of what is explored.
 */

import type { Operation } from '../machine/operation.js';
import type { LocalState } from './learned-thread.js';

/** A word of shared memory. */
export interface WordAddress {
  readonly buffer: number;
  readonly index: number;
}

/** In place of a waiter: the word is waited on, and is not an event count. */
export const ANY_THREAD = -1;

/** A word by which a thread waits, and that thread, or ANY_THREAD. See event-counts.ts. */
export interface EventCount extends WordAddress {
  readonly thread: number;
}

/** The state space as its watcher sees it. A place is a word's index in the state. */
export interface WatchedSpace {
  /** The state: words of the watcher from `notes` on, and shared words at their places. */
  readonly words: Int32Array;
  readonly notes: number;
  /** For the watcher's own words. */
  set(at: number, value: number): void;
  /** The place of a shared word. */
  place(buffer: number, index: number): number;
  /** Undefined if no shared word has this place. */
  addressAt(place: number): WordAddress | undefined;
  nameOf(thread: number): string;
  /** Where a thread stands. */
  at(thread: number): LocalState;
  isDead(thread: number): boolean;
}

/**
 * Watcher: the rules of a model. The state space calls it for accesses and notes, and each search
 * calls `end` when no thread can move. It throws Violation.
 *
 * Implementations must: keep everything that they remember in their words of the state space,
 * because a search goes back to earlier states.
 */
export interface Watcher {
  /** Words of the state that it needs for what it remembers. They are 0 at first. */
  readonly wordCount: number;
  /** Called once: every thread stands where its own work begins. */
  begin(space: WatchedSpace): void;
  /** A plain or atomic load. */
  read(thread: number, place: number): void;
  /** Any operation that stores, before it does. Not called for event counts. */
  write(thread: number, place: number, from: number, to: number): void;
  /** A call of `note`. The operation's names are its name, and its numbers the numbers. */
  note(thread: number, operation: Operation): void;
  /** No thread can move any more. */
  end(): void;
}

export interface SpaceOptions {
  readonly threadCount: number;
  /** Threads that may end at any moment: bit n for thread n. */
  readonly mortals: number;
  /** The word that reports the end of a thread. Undefined if no thread may wait for that. */
  readonly exitOf: (thread: number) => WordAddress | undefined;
  /** Whether waits of SAFETY_NET_MS and more may end by time too (machine/operation.ts). */
  readonly safetyNetsFire: boolean;
  /**
   * Whether the watcher sees to it that only this thread uses a word now and up to its next step
   * that is not private. Plain accesses of it are then private (word-uses.ts).
   */
  readonly isOwned: (thread: number, word: WordAddress) => boolean;
}

/** Called for every step, after it. The result is 0 for a WAIT in which the thread blocks. */
export type StepListener = (thread: number, choice: number, operation: Operation, result: number) => void;
