/**
 * ThreadLife: one run of a thread's code from its beginning, with its calls, promises, timers and
 * event loop. JavaScript cannot go back in a running function. So a search that goes back runs the
 * thread again, and one thread has many lives.
 *
 * Called by: ExploredWorld, which begins lives; Runtime, for the life that runs;
 * simulated-globals.ts, for tasks and buffers.
 *
 * Tasks of a loop do not interleave. Which of the waiting tasks comes next is a choice of the
 * search. Timers have no order: any may fire first, as on a machine that stopped for a while.
 */

import { Awaited, Fiber } from './fiber.js';
import { isPickOfTask, namedOperation, OperationKind, TIMED_OUT, waitOfPick, type Operation } from './operation.js';
import { SharedMemory, type Suspendable } from './shared-memory.js';
import { SimulatedPromise, type DueReaction, type ReactionQueue } from './simulated-promise.js';

/** Calls any function. Rewritten functions may stop. */
export type Invoke = (fn: unknown, self: unknown, values: readonly unknown[]) => Generator<unknown, unknown, unknown>;

/** A callback that the loop may run next: of a timer, of setImmediate, or of `offer` (probe.ts). */
export interface Task {
  readonly name: string;
  readonly fn: unknown;
  readonly values: readonly unknown[];
}

/**
 * Buffers of thread n are numbered from n + 1 times this. Those of the shared objects come first.
 */
export const BUFFERS_PER_THREAD = 1000;

export class ThreadLife implements ReactionQueue {
  readonly #invoke: Invoke;
  /** As `#invoke`, for a function that cannot stop. It throws if the function would. */
  readonly #callNow: (fn: unknown, values: readonly unknown[]) => unknown;
  /** Numbers of buffers follow from the thread and the order, so they are the same in each life. */
  readonly #firstBuffer: number;
  #buffers = 0;
  /** The last one runs. */
  readonly fibers: Fiber[] = [new Fiber()];
  /**
   * Sorted by name: any may run next, so the order in which they came is not part of the state.
   */
  readonly tasks: Task[] = [];
  /** Promises of asynchronous waits, by the numbers that the search gives (Sleepers.wait). */
  readonly waits: (SimulatedPromise | undefined)[] = [];
  /** `workerData` of `node:worker_threads`. */
  workerData: unknown = undefined;
  /** Reactions of settled promises, which run before the loop chooses again. */
  readonly #due: DueReaction[] = [];
  readonly #unhandled: SimulatedPromise[] = [];

  /** Buffers that the thread makes are numbered from `buffersFrom`. */
  constructor(buffersFrom: number, invoke: Invoke, callNow: (fn: unknown, values: readonly unknown[]) => unknown) {
    this.#firstBuffer = buffersFrom;
    this.#invoke = invoke;
    this.#callNow = callNow;
  }

  /**
   * The thread's state is what can be reached from these. `workerData` is not among them: each life
   * begins with the same, and what a thread takes from it is reached through its variables.
   */
  get roots(): readonly unknown[] {
    return [this.fibers, this.tasks, this.waits, this.#due, this.#unhandled];
  }

  /** The one that runs. */
  get fiber(): Fiber {
    return this.fibers[this.fibers.length - 1] as Fiber;
  }

  makeBuffer(bytes: number): SharedMemory {
    if (this.#buffers === BUFFERS_PER_THREAD) throw new Error(`a thread makes more than ${BUFFERS_PER_THREAD} buffers`);
    return new SharedMemory(this.#firstBuffer + this.#buffers++, bytes);
  }

  react(due: DueReaction): void {
    this.#due.push(due);
  }

  callNow(fn: unknown, values: readonly unknown[]): unknown {
    return this.#callNow(fn, values);
  }

  unhandled(promise: SimulatedPromise): void {
    this.#unhandled.push(promise);
  }

  addTask(name: string, fn: unknown, values: readonly unknown[]): Task {
    const task = { name, fn, values };
    const later = this.tasks.findIndex((other) => other.name > name);
    this.tasks.splice(later < 0 ? this.tasks.length : later, 0, task);
    return task;
  }

  removeTask(task: unknown): void {
    const at = this.tasks.indexOf(task as Task);
    if (at >= 0) this.tasks.splice(at, 1);
  }

  /** Makes the promise of an asynchronous wait. */
  promiseOf(wait: number): SimulatedPromise {
    return (this.waits[wait] = new SimulatedPromise(this));
  }

  /**
   * Runs `main`, then the event loop until no task is left. Yields operations. The last one, DONE
   * or CRASH, it yields again and again.
   */
  *live(main: unknown, values: readonly unknown[]): Suspendable<never> {
    let end: Operation;
    try {
      yield* this.#invoke(main, undefined, values) as Suspendable<unknown>;
      yield* this.#loop();
      end = namedOperation(OperationKind.DONE);
    } catch (error) {
      end = crash(error);
    }
    for (;;) yield end;
  }

  /**
   * Resumes an async function until it waits or ends: with `value`, or by throwing it if not
   * `isOk`.
   */
  *resume(fiber: Fiber, { isOk, value }: Omit<DueReaction, 'reaction'>): Generator<unknown, void, unknown> {
    const { run, promise } = fiber;
    if (run === undefined || promise === undefined) throw new Error('only an async function is resumed');
    this.fibers.push(fiber);
    try {
      let step = isOk ? run.next(value) : run.throw(value);
      for (;;) {
        if (step.done === true) {
          promise.resolve(step.value);
          return;
        }
        // At an `await` the function leaves the stack until its promise is settled.
        if (step.value instanceof Awaited) {
          step.value.promise.react({ fiber });
          return;
        }
        step = run.next(yield step.value);
      }
    } catch (error) {
      promise.reject(error);
    } finally {
      this.fibers.pop();
    }
  }

  /** One round is a turn: all due reactions, then one task or the end of one asynchronous wait. */
  *#loop(): Suspendable<void> {
    for (;;) {
      yield* this.#react();
      const lost = this.#unhandled.find((promise) => !promise.isHandled);
      if (lost !== undefined) throw lost.value;
      this.#unhandled.length = 0;
      const waits = this.waits.flatMap((promise, wait) => (promise === undefined ? [] : [wait]));
      if (this.tasks.length === 0 && waits.length === 0) return;
      const names = this.tasks.map(({ name }) => name);
      const picked = yield namedOperation(OperationKind.PICK, names, waits);
      if (isPickOfTask(picked)) {
        const [task] = this.tasks.splice(picked, 1);
        if (task === undefined) throw new Error(`no task ${picked}`);
        yield* this.#invoke(task.fn, undefined, task.values) as Suspendable<unknown>;
      } else {
        const wait = waitOfPick(picked);
        const promise = this.waits[wait];
        this.waits[wait] = undefined;
        promise?.resolve(picked >= TIMED_OUT ? 'timed-out' : 'ok');
      }
    }
  }

  /** Runs the reactions of settled promises, as the microtasks of a turn. */
  *#react(): Suspendable<void> {
    for (let due = this.#due.shift(); due !== undefined; due = this.#due.shift()) {
      const { reaction, isOk, value } = due;
      if (reaction.fiber instanceof Fiber) {
        yield* this.resume(reaction.fiber, due) as Suspendable<void>;
        continue;
      }
      const callback = isOk ? reaction.onOk : reaction.onError;
      try {
        if (typeof callback === 'function') {
          const result = yield* this.#invoke(callback, undefined, [value]) as Suspendable<unknown>;
          reaction.next?.resolve(result);
        } else if (isOk) reaction.next?.resolve(value);
        else reaction.next?.reject(value);
      } catch (error) {
        reaction.next?.reject(error);
      }
    }
  }
}

function crash(error: unknown): Operation {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return namedOperation(OperationKind.CRASH, [text]);
}
