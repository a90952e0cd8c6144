/** Fiber: one chain of calls of rewritten code: a thread's main one, or an async function that may be waiting. */

import type { SimulatedPromise } from './simulated-promise.js';

/** One call under way. */
export class Frame {
  readonly fn: string;
  /** The place where it is, and the variables that are visible there. */
  at = '';
  locals: (() => readonly unknown[]) | undefined = undefined;
  /** What outer functions lend to it. */
  readonly captured: () => readonly unknown[];
  /** Results inside the expression that is being computed. */
  readonly t: unknown[] = [];

  constructor(fn: string, captured: () => readonly unknown[]) {
    this.fn = fn;
    this.captured = captured;
  }
}

export class Fiber {
  readonly frames: Frame[] = [];
  readonly run: Generator<unknown, unknown, unknown> | undefined;
  /** Of an async function. */
  readonly promise: SimulatedPromise | undefined;

  constructor(run?: Generator<unknown, unknown, unknown>, promise?: SimulatedPromise) {
    this.run = run;
    this.promise = promise;
  }
}

/** What an async function yields at an `await`; its fiber sleeps then. */
export class Awaited {
  readonly promise: SimulatedPromise;

  constructor(promise: SimulatedPromise) {
    this.promise = promise;
  }
}
