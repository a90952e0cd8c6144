/**
 * What stands for Promise in rewritten code: the same order of reactions, but run by the thread's own loop
 * (event-loop.ts), so that a thread's pending reactions are plain data which can be looked at.
 */

/** What runs when a promise is settled. */
export interface Reaction {
  /** Goes on with an async function… */
  readonly fiber?: object | undefined;
  /** …or calls back, and settles `next` with the result. */
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
  /** The promise is rejected, and nobody has asked for that yet. */
  unheard(promise: SimulatedPromise): void;
}

export class SimulatedPromise {
  state: 'pending' | 'ok' | 'failed' = 'pending';
  value: unknown = undefined;
  reactions: Reaction[] = [];
  isHeard = false;
  readonly queue: ReactionQueue;

  constructor(queue: ReactionQueue, executor?: unknown) {
    this.queue = queue;
    if (executor === undefined) return;
    try {
      // Named after their promise, so that whoever finds one in a heap finds that, too.
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
    if (!this.isHeard) this.queue.unheard(this);
  }

  react(reaction: Reaction): void {
    this.isHeard = true;
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
