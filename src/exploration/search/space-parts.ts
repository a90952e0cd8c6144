/** What a state space is made with, and whom it tells what happens. */

import type { Operation } from '../machine/operation.js';

/** What the state space tells the invariants, and asks of them. They keep their memory in its words. */
export interface Watcher {
  /** Words that it needs. */
  readonly wordCount: number;
  read(thread: number, place: number): void;
  write(thread: number, place: number, from: number, to: number): void;
  note(thread: number, operation: Operation): void;
  /** Nobody can move any more. */
  end(): void;
}

export interface SpaceOptions {
  readonly threadCount: number;
  /** Threads that may end at any moment: bit n for thread n. `exits` says where that is published. */
  readonly mortals: number;
  readonly exitOf: (thread: number) => { readonly buffer: number; readonly index: number } | undefined;
  /** Whether waits that are safety nets may end by time, too: with a hostile writer they must. */
  readonly netsFire: boolean;
  /** Whether the invariants see to it that nobody but this thread uses a word now, nor before its next move. */
  readonly isOwned: (thread: number, buffer: number, index: number) => boolean;
}

/** Told of every single operation. */
export type StepListener = (thread: number, choice: number, operation: Operation, result: number) => void;

/** The word of a doorbell, and the thread that waits on it. */
export interface Bell {
  readonly buffer: number;
  readonly index: number;
  readonly thread: number;
}
