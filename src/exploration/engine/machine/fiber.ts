/**
 * Fiber: one chain of calls of rewritten code, a thread's main one or that of an async function.
 * Its frames are the calls with their variables, which the heap's fingerprint needs (JavaScript
 * does not show them).
 *
 * Called by: Runtime, for each call and `await`; ThreadLife, which runs fibers.
 */

import type { SimulatedPromise } from './simulated-promise.js';

/**
 * A call that has not returned yet. A function without stops has no frame: no other thread runs
 * while it does.
 */
export class Frame {
  /** The site of the function, `MODULE:NUMBER`: a name that no other place of the program has. */
  readonly fn: string;
  /** The site at which the call stands, and the variables that are visible there. */
  at = '';
  locals: (() => readonly unknown[]) | undefined = undefined;
  /** Variables of outer functions that the function uses. */
  readonly captured: () => readonly unknown[];
  /** Temporaries: results so far within the expression that is being computed. */
  readonly t: unknown[] = [];

  constructor(fn: string, captured: () => readonly unknown[]) {
    this.fn = fn;
    this.captured = captured;
  }
}

export class Fiber {
  /** The calls under way, outermost first. */
  readonly frames: Frame[] = [];
  /**
   * The body of an async function, and the promise that it returned. Undefined for the main fiber.
   */
  readonly run: Generator<unknown, unknown, unknown> | undefined;
  readonly promise: SimulatedPromise | undefined;

  constructor(run?: Generator<unknown, unknown, unknown>, promise?: SimulatedPromise) {
    this.run = run;
    this.promise = promise;
  }
}

/** An async function yields this at an `await`, and its fiber sleeps. */
export class Awaited {
  readonly promise: SimulatedPromise;

  constructor(promise: SimulatedPromise) {
    this.promise = promise;
  }
}
