/**
 * Doorbell: parks one thread until others have work for it. One waiter, any number of ringers.
 *
 * Called by: ringers `ring` after they published their work by an atomic store; the waiter `wait`s,
 * or `waitAsync`s if its event loop must go on turning. Both spin first if they are given an
 * AdaptiveSpin.
 * Callers must: act on a true result by an atomic operation, because the poll that found the work
 * may have been relaxed.
 * Threads: any.
 *
 * Ordering: no wake-up is lost, because all operations here and `poll.ordered` are sequentially
 * consistent: the waiter arms the doorbell and then polls, and the ringer publishes and then loads
 * the armed word. So either the ringer sees "armed" and wakes the waiter, or the waiter's last poll
 * sees the work. The waiter parks on the count of rings that it read before that poll, so a ring in
 * between does not let it park. While the waiter is awake a ring is one load, and rings coalesce.
 */

import type { AdaptiveSpin } from './adaptive-spin.js';
import type { Poll } from './poll.js';
import { SharedWords } from './shared-words.js';
import { PLAIN_WAKER, type Waker } from './waker.js';

/** Words that a doorbell takes in a shared array. */
export const DOORBELL_WORDS = 2;

export class Doorbell {
  readonly #words: Int32Array<SharedArrayBuffer>;
  /** Index of the count of rings, on which the waiter parks. */
  readonly #rings: number;
  /**
   * Index of the armed word: the waiter's Waker.thread from just before its last poll until it goes
   * on, else 0.
   */
  readonly #armed: number;
  readonly #notify = (): void => void Atomics.notify(this.#words, this.#rings);
  /** Of the thread that uses this object. */
  waker: Waker = PLAIN_WAKER;

  /** Takes words `index` and `index + 1` of `buffer`, which start as 0. */
  constructor(buffer = new SharedWords(DOORBELL_WORDS).buffer, index = 0) {
    this.#words = new Int32Array(buffer);
    this.#rings = index;
    this.#armed = index + 1;
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer;
  }

  /**
   * Rings that found the doorbell armed. A ring while the waiter is awake is not counted and costs
   * one load.
   */
  get rings(): number {
    return Atomics.load(this.#words, this.#rings) >>> 0;
  }

  /** Call after the work is published. Returns whether the waiter was parked, or about to park. */
  ring(): boolean {
    const sleeper = Atomics.load(this.#words, this.#armed);
    if (sleeper === 0) {
      this.waker.foundAwake();
      return false;
    }
    Atomics.add(this.#words, this.#rings, 1);
    this.waker.wake(sleeper, this.#notify);
    return true;
  }

  /**
   * Blocks this thread until there is work (true) or the time is over (false). For threads without
   * an event loop.
   */
  wait(poll: Poll, timeoutMs = Infinity, spin?: AdaptiveSpin): boolean {
    if (spin === undefined ? poll.ordered() : spin.spin(poll)) return true;
    const endMs = endOf(timeoutMs);
    for (;;) {
      const rings = this.#arm();
      if (poll.ordered()) return this.#disarm(true);
      const leftMs = leftUntil(endMs);
      if (leftMs <= 0) return this.#disarm(false);
      Atomics.wait(this.#words, this.#rings, rings, leftMs);
    }
  }

  /** As `wait`, while this thread's event loop goes on turning. Does not keep the process alive. */
  async waitAsync(poll: Poll, timeoutMs = Infinity, spin?: AdaptiveSpin): Promise<boolean> {
    if (spin === undefined ? poll.ordered() : spin.spin(poll)) return true;
    const endMs = endOf(timeoutMs);
    for (;;) {
      const rings = this.#arm();
      if (poll.ordered()) return this.#disarm(true);
      const leftMs = leftUntil(endMs);
      if (leftMs <= 0) return this.#disarm(false);
      const parked = Atomics.waitAsync(this.#words, this.#rings, rings, leftMs);
      if (parked.async) await parked.value;
    }
  }

  /** From now on a ring counts. Returns the count of rings to park on. */
  #arm(): number {
    Atomics.store(this.#words, this.#armed, this.waker.thread);
    return Atomics.load(this.#words, this.#rings);
  }

  /** The waiter goes on: rings no longer count. Returns `found`. */
  #disarm(found: boolean): boolean {
    Atomics.store(this.#words, this.#armed, 0);
    return found;
  }
}

function endOf(timeoutMs: number): number {
  return timeoutMs === Infinity ? Infinity : performance.now() + timeoutMs;
}

function leftUntil(endMs: number): number {
  return endMs === Infinity ? Infinity : endMs - performance.now();
}
