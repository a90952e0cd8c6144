/**
 * Simulated globals: what rewritten code gets in place of the globals that share memory, wait, or
 * read a clock.
 *
 * Called by: Runtime. RewrittenModules passes them to each module as parameters of these names.
 */

import { keepsCallbacks } from './array-loops.js';
import { SAFETY_NET_MS } from './operation.js';
import { float64Array, int32Array, simulatedAtomics } from './shared-memory.js';
import { SimulatedPromise } from './simulated-promise.js';
import type { ThreadLife } from './thread-life.js';

/** Gives the thread whose code runs now. Undefined while no thread runs. */
export interface CurrentThread {
  readonly life: ThreadLife | undefined;
}

/**
 * By name. One set of globals serves all threads: each call finds the thread that runs. All other
 * globals are the real ones.
 */
export function simulatedGlobals(current: CurrentThread): Record<string, unknown> {
  const life = (): ThreadLife => runningLife(current);
  return {
    Atomics: simulatedAtomics((wait) => life().promiseOf(wait)),
    SharedArrayBuffer: function (bytes: number) {
      return life().makeBuffer(bytes);
    },
    Int32Array: Object.assign(
      function (...parts: [unknown?, number?, number?]) {
        return int32Array(...parts);
      },
      { from: Int32Array.from.bind(Int32Array), of: Int32Array.of.bind(Int32Array) },
    ),
    Float64Array: Object.assign(
      function (...parts: [unknown?, number?, number?]) {
        return float64Array(...parts);
      },
      { from: Float64Array.from.bind(Float64Array) },
    ),
    Promise: simulatedPromises(life),
    // Time stands still, so a loop that ends by the clock would not end. Adaptations
    // (CodeOptions.adaptations) make such a loop finite.
    performance: { now: () => 0, timeOrigin: 0 },
    Date: { now: () => 0 },
    // A timer that is a safety net is not even a task: it never fires.
    setTimeout: keepsCallbacks((fn: unknown, ms = 0, ...values: unknown[]) =>
      ms < SAFETY_NET_MS ? life().addTask('timer', fn, values) : { isSafetyNet: true },
    ),
    setImmediate: keepsCallbacks((fn: unknown, ...values: unknown[]) => life().addTask('turn', fn, values)),
    // Ignores safety nets, which are not among the tasks.
    clearTimeout: (task: unknown) => current.life?.removeTask(task),
  };
}

/** Throws if no thread runs: then the code of a module's top level touches what a thread has. */
export function runningLife({ life }: CurrentThread): ThreadLife {
  if (life === undefined) throw new Error('no thread runs');
  return life;
}

/** The constructor Promise with the static methods that explored code uses. */
function simulatedPromises(life: () => ThreadLife): object {
  const promise = function (executor: unknown): SimulatedPromise {
    return new SimulatedPromise(life(), executor);
  };
  promise.resolve = (value: unknown): SimulatedPromise => SimulatedPromise.of(life(), value);
  promise.reject = (error: unknown): SimulatedPromise => {
    const rejected = new SimulatedPromise(life());
    rejected.reject(error);
    return rejected;
  };
  promise.race = (candidates: readonly unknown[]): SimulatedPromise => {
    const first = new SimulatedPromise(life());
    for (const candidate of candidates) SimulatedPromise.of(life(), candidate).react({ next: first });
    return first;
  };
  return promise;
}
