/**
 * Runtime: the object `$` of rewritten code (code/suspendable-code.ts), for everything that may
 * stop: calls, getters, indexes, awaits.
 *
 * Callers must: set `life` to the thread that runs before its code goes on. There is one runtime
 * for all threads of a program.
 *
 * The generator methods are what rewritten code calls where it may stop. Each first notes in the
 * frame where the code stands (`at`, `locals`), and keeps its result among the frame's temporaries.
 * The methods named …Now are for code that cannot stop.
 */

import { Awaited, Fiber, Frame } from './fiber.js';
import { int32Array, float64Array, readWord, SharedView, simulatedAtomics, writeWord } from './shared-memory.js';
import { SimulatedPromise } from './simulated-promise.js';
import { arrayLoops, doesKeepCallbacks, keepsCallbacks } from './array-loops.js';
import { SAFETY_NET_MS } from './operation.js';
import type { ThreadLife } from './thread-life.js';

type Run = Generator<unknown, unknown, unknown>;
type Locals = () => readonly unknown[];

const GeneratorFunction = Object.getPrototypeOf(function* () {
  /* Only its prototype is wanted. */
}) as object;

/** Where a closure was made, and the variables that it uses of functions around it. */
export interface ClosureOrigin {
  readonly site: string;
  readonly captured: Locals;
}

export class Runtime {
  /** The thread whose code runs now. */
  life: ThreadLife | undefined;
  readonly #closures = new WeakMap<object, ClosureOrigin>();

  originOf(fn: object): ClosureOrigin | undefined {
    return this.#closures.get(fn);
  }

  /** Stand-ins for the globals of the same names. */
  get globals(): Record<string, unknown> {
    const life = (): ThreadLife => this.#life;
    const promise = function (executor: unknown): SimulatedPromise {
      return new SimulatedPromise(life(), executor);
    };
    promise.resolve = (value: unknown): SimulatedPromise => this.#promiseOf(value);
    promise.reject = (error: unknown): SimulatedPromise => {
      const rejected = new SimulatedPromise(life());
      rejected.reject(error);
      return rejected;
    };
    promise.race = (candidates: readonly unknown[]): SimulatedPromise => {
      const first = new SimulatedPromise(life());
      for (const candidate of candidates) this.#promiseOf(candidate).react({ next: first });
      return first;
    };
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
      Promise: promise,
      // Time stands still. Adaptations make finite what is bounded by a time.
      performance: { now: () => 0, timeOrigin: 0 },
      Date: { now: () => 0 },
      setTimeout: keepsCallbacks((fn: unknown, ms: number, ...values: unknown[]) =>
        ms < SAFETY_NET_MS ? life().addTask('timer', fn, values) : { isSafetyNet: true },
      ),
      setImmediate: keepsCallbacks((fn: unknown, ...values: unknown[]) => life().addTask('turn', fn, values)),
      clearTimeout: (task: unknown) => this.life?.removeTask(task),
    };
  }

  get #life(): ThreadLife {
    if (this.life === undefined) throw new Error('no thread runs');
    return this.life;
  }

  /** A call of rewritten code begins. */
  enter(fn: string, captured: Locals): Frame {
    const frame = new Frame(fn, captured);
    this.#life.fiber.frames.push(frame);
    return frame;
  }

  /** The call has ended. */
  leave(frame: Frame): void {
    const { frames } = this.#life.fiber;
    if (frames.pop() !== frame) throw new Error(`${frame.fn} ends before what it called`);
  }

  /** A closure is created. */
  closure(site: string, captured: Locals, fn: object): object {
    this.#closures.set(fn, { site, captured });
    return fn;
  }

  /** A variable that may not have its value yet. */
  known(read: () => unknown): unknown {
    try {
      return read();
    } catch {
      return undefined;
    }
  }

  /** The default of a name in a destructuring pattern. */
  or(value: unknown, fallback: () => unknown): unknown {
    return value === undefined ? fallback() : value;
  }

  *method(frame: Frame, at: string, locals: Locals, self: unknown, name: string, values: unknown[]): Run {
    frame.at = at;
    frame.locals = locals;
    const fn = (self as Record<string, unknown>)[name];
    const result = isSuspendable(fn) ? yield* fn.apply(self, values) : yield* this.#native(fn, self, name, values);
    frame.t.push(result);
    return result;
  }

  *call(frame: Frame, at: string, locals: Locals, fn: unknown, values: unknown[]): Run {
    frame.at = at;
    frame.locals = locals;
    const result = isSuspendable(fn) ? yield* fn(...values) : yield* this.#native(fn, undefined, '', values);
    frame.t.push(result);
    return result;
  }

  *get(frame: Frame, at: string, locals: Locals, self: unknown, name: string): Run {
    const getter = (self as Record<string, unknown>)[`$get_${name}`];
    if (!isSuspendable(getter)) return (self as Record<string, unknown>)[name];
    frame.at = at;
    frame.locals = locals;
    const result = yield* getter.call(self);
    frame.t.push(result);
    return result;
  }

  *index(frame: Frame, at: string, locals: Locals, isRelaxed: boolean, list: unknown, index: number): Run {
    if (!(list instanceof SharedView)) return (list as Record<number, unknown>)[index];
    frame.at = at;
    frame.locals = locals;
    const result = yield* readWord(list, index, isRelaxed) as Run;
    frame.t.push(result);
    return result;
  }

  *setIndex(
    frame: Frame,
    at: string,
    locals: Locals,
    isRelaxed: boolean,
    list: unknown,
    index: number,
    value: unknown,
  ): Run {
    if (!(list instanceof SharedView)) return ((list as Record<number, unknown>)[index] = value);
    frame.at = at;
    frame.locals = locals;
    yield* writeWord(list, index, value as number, isRelaxed) as Run;
    return value;
  }

  *await(frame: Frame, at: string, locals: Locals, value: unknown): Run {
    frame.at = at;
    frame.locals = locals;
    const result = yield new Awaited(this.#promiseOf(value));
    frame.t.push(result);
    return result;
  }

  /** A call of an async function, whose body is `run`. */
  *async(run: Run): Run {
    const life = this.#life;
    const fiber = new Fiber(run, new SimulatedPromise(life));
    yield* life.resume(fiber, true, undefined);
    return fiber.promise;
  }

  /** The list and position of a `for … of`. */
  iterate(list: Iterable<unknown>): { value: unknown; step(): boolean } {
    const values = Array.isArray(list) ? (list as unknown[]) : [...list];
    let at = 0;
    const iterator = {
      values,
      at,
      value: undefined as unknown,
      step: (): boolean => {
        at = iterator.at;
        if (at >= values.length) return false;
        iterator.value = values[at];
        iterator.at = at + 1;
        return true;
      },
    };
    // It is the same for all iterators: only the data are part of the state.
    Object.defineProperty(iterator, 'step', { enumerable: false });
    return iterator;
  }

  methodNow(self: unknown, name: string, values: unknown[]): unknown {
    const fn = (self as Record<string, unknown>)[name];
    return runThrough(isSuspendable(fn) ? fn.apply(self, values) : this.#native(fn, self, name, values), name);
  }

  callNow(fn: unknown, values: readonly unknown[]): unknown {
    return runThrough(this.invoke(fn, undefined, values), 'a function');
  }

  getNow(self: unknown, name: string): unknown {
    const getter = (self as Record<string, unknown>)[`$get_${name}`];
    return isSuspendable(getter) ? runThrough(getter.call(self), name) : (self as Record<string, unknown>)[name];
  }

  *invoke(fn: unknown, self: unknown, values: readonly unknown[]): Run {
    return isSuspendable(fn) ? yield* fn.apply(self, [...values]) : yield* this.#native(fn, self, '', [...values]);
  }

  *#native(fn: unknown, self: unknown, name: string, values: unknown[]): Run {
    if (typeof fn !== 'function') throw new TypeError(`${name} is not a function`);
    if (typeof self === 'function' && isSuspendable(self) && fn === Function.prototype.call)
      return yield* self.apply(values[0], values.slice(1));
    if (!values.some(isSuspendable) || doesKeepCallbacks(fn)) return Reflect.apply(fn, self, values) as unknown;
    const loop = arrayLoops.get(fn);
    if (loop === undefined)
      throw new Error(`${name || fn.name} is native and calls rewritten code, which the explorer does not support`);
    const frame = this.enter(name, () => [self, values]);
    const result = yield* loop(self as unknown[], values, frame, (callback, args) =>
      this.invoke(callback, undefined, args),
    );
    this.leave(frame);
    return result;
  }

  #promiseOf(value: unknown): SimulatedPromise {
    if (value instanceof SimulatedPromise) return value;
    const promise = new SimulatedPromise(this.#life);
    promise.resolve(value);
    return promise;
  }
}

/** Whether a function is rewritten code. */
export function isSuspendable(fn: unknown): fn is (...values: unknown[]) => Run {
  return typeof fn === 'function' && Object.getPrototypeOf(fn) === GeneratorFunction;
}

function runThrough(run: Run, name: string): unknown {
  const step = run.next();
  if (step.done !== true)
    throw new Error(
      `${name} touches shared memory where a thread cannot stop: in a constructor, or outside of a thread`,
    );
  return step.value;
}
