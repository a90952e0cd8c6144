/**
 * Native functions that take a callback, where the callback is rewritten code and may stop. A
 * native function cannot be stopped in the middle. So loops over arrays are done here instead, as
 * generators. Unlike the native ones they read the length in each round, call back for holes, and
 * ignore `thisArg`: explored code must depend on none of the three. Other native functions may only
 * keep a callback, not call it (`keepsCallbacks`).
 *
 * Called by: Runtime, for a call of a native function with a rewritten argument. Those that provide
 * native functions mark them with `keepsCallbacks`.
 */

import type { Frame } from './fiber.js';
import { SimulatedPromise } from './simulated-promise.js';

type Run = Generator<unknown, unknown, unknown>;
type Call = (callback: unknown, values: readonly unknown[]) => Run;
/** `frame`: the loop's own, whose locals are its position and its result so far. */
type Loop = (self: unknown[], values: readonly unknown[], frame: Frame, call: Call) => Run;

interface Outcome {
  /** True ends the loop. */
  readonly ends?: boolean;
  readonly result: unknown;
}

/** A loop over `self`. `step` combines a callback's answer with the result so far. */
function loop(
  first: () => unknown,
  step: (answer: unknown, item: unknown, at: number, result: unknown) => Outcome,
): Loop {
  return function* (self, [callback], frame, call) {
    let result = first();
    let at = 0;
    frame.locals = () => [at, result];
    for (; at < self.length; at++) {
      const outcome = step(yield* call(callback, [self[at], at, self]), self[at], at, result);
      result = outcome.result;
      if (outcome.ends === true) break;
    }
    return result;
  };
}

/** `Array.from(list, callback)`. */
const from: Loop = function* (_, [list, callback], frame, call) {
  const items = Array.from(list as ArrayLike<unknown>);
  const result: unknown[] = [];
  frame.locals = () => [result];
  for (const [at, item] of items.entries()) result.push(yield* call(callback, [item, at]));
  return result;
};

const append = (result: unknown, item: unknown): unknown[] => [...(result as unknown[]), item];

/** By the native function that each replaces. */
export const arrayLoops: ReadonlyMap<unknown, Loop> = new Map<unknown, Loop>([
  [Array.from, from],
  [
    Array.prototype.every,
    loop(
      () => true,
      (ok) => ({ ends: !ok, result: Boolean(ok) }),
    ),
  ],
  [
    Array.prototype.some,
    loop(
      () => false,
      (ok) => ({ ends: Boolean(ok), result: Boolean(ok) }),
    ),
  ],
  [
    Array.prototype.find,
    loop(
      () => undefined,
      (ok, item) => ({ ends: Boolean(ok), result: ok ? item : undefined }),
    ),
  ],
  [
    Array.prototype.findIndex,
    loop(
      () => -1,
      (ok, _, at) => ({ ends: Boolean(ok), result: ok ? at : -1 }),
    ),
  ],
  [
    Array.prototype.filter,
    loop(
      () => [],
      (ok, item, _, result) => ({ result: ok ? append(result, item) : result }),
    ),
  ],
  [
    Array.prototype.map,
    loop(
      () => [],
      (answer, _, __, result) => ({ result: append(result, answer) }),
    ),
  ],
  [
    Array.prototype.forEach,
    loop(
      () => undefined,
      () => ({ result: undefined }),
    ),
  ],
]);

const { then, catch: catches } = SimulatedPromise.prototype as unknown as Record<'then' | 'catch', object>;
/** The native functions that `keepsCallbacks` has marked, and the built-in ones of this kind. */
const keepers = new WeakSet<object>([Array.prototype.push, Array.prototype.unshift, then, catches]);

/**
 * Marks a native function that only keeps its callbacks, or has the thread's own loop call them.
 */
export function keepsCallbacks<T extends object>(fn: T): T {
  keepers.add(fn);
  return fn;
}

/** Whether a native function may be given rewritten callbacks as it is. */
export function doesKeepCallbacks(fn: object): boolean {
  return keepers.has(fn);
}
