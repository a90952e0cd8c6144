/**
 * ExploredProgram: the rewritten code of one set of changes. Models of any plan run on it.
 *
 * Called by: users of `upcall/exploration`, which create it; ExploredWorld.
 *
 * Loading is what takes time, so programs of one CodeBase share every module that no change
 * touches.
 */

import type { CodeChange } from './change/code-change.js';
import type { CodeBase } from './code/code-base.js';
import { RewrittenModules, type Exports } from './code/rewritten-modules.js';
import { keepsCallbacks } from './machine/array-loops.js';
import { namedOperation, OperationKind, wordOperation } from './machine/operation.js';
import { Runtime } from './machine/runtime.js';
import type { Entry } from './model.js';

/**
 * The buffer of the words that report the ends of threads, a word for each exit number. No buffer
 * of a program has this number: those of at most 32 threads are below 33,000 (BUFFERS_PER_THREAD).
 */
export const EXITS = 99_999;

/** Modules that the explored code gets instead of its own: by name, as `require` gives them. */
export type Replacements = (program: ExploredProgram) => ReadonlyMap<string, Exports>;

export class ExploredProgram {
  readonly runtime = new Runtime();
  readonly #modules: RewrittenModules;

  /**
   * `entries` are modules, and those that they import are loaded with them. Throws an Error that
   * begins with GONE for a change that does not fit (code-change.ts).
   */
  constructor(
    code: CodeBase,
    entries: readonly string[],
    changes: readonly CodeChange[] = [],
    replacements?: Replacements,
  ) {
    const replaced = new Map(replacements?.(this));
    for (const name of code.probes) replaced.set(name, this.#probes());
    this.#modules = new RewrittenModules(code, entries, this.runtime, replaced, changes);
  }

  /** A function of the rewritten code. */
  function(module: string, name: string): unknown {
    const fn = this.#modules.require(module)[name];
    if (typeof fn !== 'function') throw new Error(`${module} exports no function ${name}`);
    return fn;
  }

  /** Calls a function that does not stop, for example one that only makes objects. */
  callNow({ module, name, values }: Entry): unknown {
    return this.runtime.callNow(this.function(module, name), values);
  }

  /**
   * What the code gets for the functions of probe.ts. Generators, as far as they stop the thread.
   */
  #probes(): Exports {
    const { runtime } = this;
    return {
      *note(name: string, ...numbers: number[]) {
        yield namedOperation(OperationKind.NOTE, [name], numbers);
      },
      offer: keepsCallbacks((name: string, task: unknown) => runtime.life?.addTask(name, task, [])),
      *threadEnd(exit: number): Generator<unknown, unknown, number> {
        // As Atomics.waitAsync on the word of the exit, which is 0 until the thread has ended.
        const wait = yield wordOperation(OperationKind.WAIT_ASYNC, EXITS, exit, 0, Infinity);
        return runtime.life?.promiseOf(wait);
      },
    };
  }
}
