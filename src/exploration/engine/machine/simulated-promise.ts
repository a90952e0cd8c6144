/**
 * SimulatedPromise: the stand-in for Promise in rewritten code.
 *
 * Reactions run in the same order as those of a Promise, but in the loop of ThreadLife. So a
 * thread's pending reactions are plain data, and part of its state. One difference: a promise that
 * is resolved with a settled promise follows it a microtask earlier than a native one.
 *
 * Called by: rewritten code (simulated-globals.ts), Runtime and ThreadLife.
 */

/** Runs when a promise is settled. */
export interface Reaction {
  /** Resumes an async function… */
  readonly fiber?: object | undefined;
  /** …or calls a callback, and settles `next` with its result. Without a callback, with `value`. */
  readonly onOk?: unknown;
  readonly onError?: unknown;
  readonly next?: SimulatedPromise | undefined;
}

/** A reaction whose promise is settled. */
export interface DueReaction {
  readonly reaction: Reaction;
  readonly isOk: boolean;
  readonly value: unknown;
}

/** The thread in whose loop reactions run: a ThreadLife. */
export interface ReactionQueue {
  /** Queues a reaction. It runs in the current turn, after the code that runs now. */
  react(due: DueReaction): void;
  /** Runs a function that cannot stop. */
  callNow(fn: unknown, values: readonly unknown[]): unknown;
  /**
   * The promise is rejected and has no reaction yet. If it has none when the turn ends: a crash.
   */
  unhandled(promise: SimulatedPromise): void;
}

export class SimulatedPromise {
  // No field is private: the walk of the heap reads all of them.
  state: 'pending' | 'ok' | 'failed' = 'pending';
  value: unknown = undefined;
  reactions: Reaction[] = [];
  isHandled = false;
  readonly queue: ReactionQueue;

  constructor(queue: ReactionQueue, executor?: unknown) {
    this.queue = queue;
    if (executor === undefined) return;
    try {
      // Each has its promise as a property: the walk of the heap (heap-fingerprint.ts) does not see
      // what these native closures capture.
      const settlers = [(value: unknown) => this.resolve(value), (error: unknown) => this.reject(error)];
      queue.callNow(
        executor,
        settlers.map((settle) => Object.assign(settle, { promise: this })),
      );
    } catch (error) {
      this.reject(error);
    }
  }

  /**
   * `value` if it is a promise, otherwise a promise that is resolved with it. As `await` does it.
   */
  static of(queue: ReactionQueue, value: unknown): SimulatedPromise {
    if (value instanceof SimulatedPromise) return value;
    const promise = new SimulatedPromise(queue);
    promise.resolve(value);
    return promise;
  }

  resolve(value?: unknown): void {
    if (value instanceof SimulatedPromise) value.react({ next: this });
    else this.#settle('ok', value);
  }

  reject(error: unknown): void {
    if (this.state !== 'pending') return;
    this.#settle('failed', error);
    if (!this.isHandled) this.queue.unhandled(this);
  }

  react(reaction: Reaction): void {
    this.isHandled = true;
    if (this.state === 'pending') this.reactions.push(reaction);
    else this.queue.react({ reaction, isOk: this.state === 'ok', value: this.value });
  }

  then(onOk?: unknown, onError?: unknown): SimulatedPromise {
    const next = new SimulatedPromise(this.queue);
    this.react({ onOk, onError, next });
    return next;
  }

  catch(onError: unknown): SimulatedPromise {
    return this.then(undefined, onError);
  }

  #settle(state: 'ok' | 'failed', value: unknown): void {
    if (this.state !== 'pending') return;
    this.state = state;
    this.value = value;
    for (const reaction of this.reactions) this.queue.react({ reaction, isOk: state === 'ok', value });
    this.reactions = [];
  }
}
