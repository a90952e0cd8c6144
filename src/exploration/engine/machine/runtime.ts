/**
 * Runtime: the object `$` of rewritten code (code/suspendable-code.ts has an example), for
 * everything that may stop: calls, getters, indexes, awaits.
 *
 * Called by: rewritten code; ExploredWorld, whose threads begin with `invoke`; ExploredProgram.
 * Callers must: set `life` to the thread that runs before its code goes on. There is one runtime
 * for all threads of a program.
 *
 * - `method`, `call`, `get`, `index`, `setIndex` and `await` are what rewritten code calls where it
 *   may stop. Each first notes in the frame where the code stands (`at`, `locals`). They stop by
 *   yielding an Operation or an Awaited, which ThreadLife receives through the chain of `yield*`.
 * - Each then adds its result to the frame's temporaries (`Frame.t`), which the fingerprint of the
 *   state covers: in `f() + g()`, f's result is in no variable while g runs. The rewritten code
 *   empties them where the next complete expression begins.
 * - `methodNow`, `callNow` and `getNow` are for code that cannot stop. They throw if it would.
 * - A callee may be rewritten (a generator function: `isSuspendable`) or native. A native one is
 *   called as it is, unless it is given a rewritten callback: see array-loops.ts.
 *
 * What rewritten code gets in place of globals is in simulated-globals.ts.
 */

import { Awaited, Fiber, Frame } from './fiber.js';
import { readWord, SharedView, writeWord } from './shared-memory.js';
import { runningLife, simulatedGlobals } from './simulated-globals.js';
import { SimulatedPromise } from './simulated-promise.js';
import { arrayLoops, doesKeepCallbacks } from './array-loops.js';
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

  /** Undefined for native functions, and for methods: those capture no variables. */
  originOf(fn: object): ClosureOrigin | undefined {
    return this.#closures.get(fn);
  }

  /** Stand-ins for the globals of the same names. */
  get globals(): Record<string, unknown> {
    return simulatedGlobals(this);
  }

  get #life(): ThreadLife {
    return runningLife(this);
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

  /**
   * The value of a captured variable. Undefined if its declaration has not run: then `read` throws
   * a ReferenceError.
   */
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

  /** `self[name](...values)`. `at` is the site, `locals` reads the variables visible there. */
  *method(frame: Frame, at: string, locals: Locals, self: unknown, name: string, values: unknown[]): Run {
    frame.at = at;
    frame.locals = locals;
    const fn = (self as Record<string, unknown>)[name];
    const result = isSuspendable(fn) ? yield* fn.apply(self, values) : yield* this.#native(fn, self, name, values);
    frame.t.push(result);
    return result;
  }

  /** `fn(...values)`. */
  *call(frame: Frame, at: string, locals: Locals, fn: unknown, values: unknown[]): Run {
    frame.at = at;
    frame.locals = locals;
    const result = isSuspendable(fn) ? yield* fn(...values) : yield* this.#native(fn, undefined, '', values);
    frame.t.push(result);
    return result;
  }

  /** `self.name`, where some class has a getter of that name. */
  *get(frame: Frame, at: string, locals: Locals, self: unknown, name: string): Run {
    const getter = (self as Record<string, unknown>)[`$get_${name}`];
    // A plain property stops nowhere and is not kept: the heap still has it (suspendable-code.ts).
    if (!isSuspendable(getter)) return (self as Record<string, unknown>)[name];
    frame.at = at;
    frame.locals = locals;
    const result = yield* getter.call(self);
    frame.t.push(result);
    return result;
  }

  /**
   * `list[index]`, where the list may be a view of shared words or an array. `isRelaxed`: see
   * Operation.
   */
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
    const result = yield new Awaited(SimulatedPromise.of(this.#life, value));
    frame.t.push(result);
    return result;
  }

  /**
   * A call of an async function, whose body is `run`. It runs in the caller's turn up to its first
   * `await`, in a fiber of its own. Returns the function's promise.
   */
  *async(run: Run): Run {
    const life = this.#life;
    const fiber = new Fiber(run, new SimulatedPromise(life));
    yield* life.resume(fiber, { isOk: true, value: undefined });
    return fiber.promise;
  }

  /**
   * The list and position of a `for … of`, as an object whose fields the fingerprint sees. Unlike
   * the language's iterator, it takes an iterable that is not an array all at once.
   */
  iterate(list: Iterable<unknown>): { value: unknown; step(): boolean } {
    const values = Array.isArray(list) ? (list as unknown[]) : [...list];
    const iterator = {
      values,
      at: 0,
      value: undefined as unknown,
      step: (): boolean => {
        if (iterator.at >= values.length) return false;
        iterator.value = values[iterator.at++];
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

  /** Calls any function from native code of the engine: a task, a reaction, a thread's main. */
  *invoke(fn: unknown, self: unknown, values: readonly unknown[]): Run {
    return isSuspendable(fn) ? yield* fn.apply(self, [...values]) : yield* this.#native(fn, self, '', [...values]);
  }

  /** Calls a native function. `name` is for messages, and for the frame of a loop. */
  *#native(fn: unknown, self: unknown, name: string, values: unknown[]): Run {
    if (typeof fn !== 'function') throw new TypeError(`${name || 'the called value'} is not a function`);
    // `method.call(object, …)` and `method.apply(object, […])` of rewritten code.
    if (isSuspendable(self) && fn === Function.prototype.call) return yield* self.apply(values[0], values.slice(1));
    if (isSuspendable(self) && fn === Function.prototype.apply)
      return yield* self.apply(values[0], (values[1] ?? []) as unknown[]);
    if (!values.some(isSuspendable) || doesKeepCallbacks(fn)) return Reflect.apply(fn, self, values) as unknown;
    const loop = arrayLoops.get(fn);
    if (loop === undefined)
      throw new Error(`${name || fn.name} is native and calls rewritten code, which the explorer does not support`);
    const frame = this.enter(name, () => [self, values]);
    try {
      return yield* loop(self as unknown[], values, frame, (callback, args) => this.invoke(callback, undefined, args));
    } finally {
      this.leave(frame);
    }
  }
}

/** Whether a function is rewritten code. */
export function isSuspendable(fn: unknown): fn is (...values: unknown[]) => Run {
  return typeof fn === 'function' && Object.getPrototypeOf(fn) === GeneratorFunction;
}

/** Runs a call to its end at once. Throws if it stops. */
function runThrough(run: Run, name: string): unknown {
  const step = run.next();
  if (step.done !== true)
    throw new Error(
      `${name} touches shared memory where a thread cannot stop: in a constructor, or outside of a thread`,
    );
  return step.value;
}
