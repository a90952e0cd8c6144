/**
 * SimulatedPromise: the stand-in for Promise in rewritten code.
 *
 * Reactions run in the same order as those of a Promise, but in the loop of ThreadLife. So a
 * thread's pending reactions are plain data, and part of its state.
 */

/** Runs when a promise is settled. */
export interface Reaction {
  /** Resumes an async function… */
  readonly fiber?: object | undefined;
  /** …or calls a callback, and settles `next` with its result. */
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

/** The thread in whose loop reactions run. */
export interface ReactionQueue {
  react(due: DueReaction): void;
  /** Runs a function that cannot stop. */
  callNow(fn: unknown, values: readonly unknown[]): unknown;
  /** The promise is rejected and has no reaction yet. */
  unhandled(promise: SimulatedPromise): void;
}

export class SimulatedPromise {
  state: 'pending' | 'ok' | 'failed' = 'pending';
  value: unknown = undefined;
  reactions: Reaction[] = [];
  isHandled = false;
  readonly queue: ReactionQueue;

  constructor(queue: ReactionQueue, executor?: unknown) {
    this.queue = queue;
    if (executor === undefined) return;
    try {
      // Each has its promise as a property, so that a walk of the heap finds that too.
      const settlers = [(value: unknown) => this.resolve(value), (error: unknown) => this.reject(error)];
      queue.callNow(
        executor,
        settlers.map((settle) => Object.assign(settle, { promise: this })),
      );
    } catch (error) {
      this.reject(error);
    }
  }

  resolve(value?: unknown): void {
    if (value instanceof SimulatedPromise) value.react({ next: this });
    else this.#settle('ok', value);
  }

  reject(error: unknown): void {
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
