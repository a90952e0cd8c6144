/**
 * Doorbell: how one thread sleeps until others have something for it. One waiter, any number of ringers.
 *
 * A ringer first publishes its work (an atomic store somewhere: a slot's state, an interrupt word), then rings. The
 * waiter gives a function that looks for work, and a budget for looking (look-budget.ts). It looks for a bounded time,
 * then says that it is asleep, looks once more, and sleeps. Both sides' words are sequentially consistent, so either the
 * ringer sees "asleep" and wakes the waiter, or the waiter's last look sees the work: no wake-up is lost. While the waiter
 * is awake a ring is one load; rings coalesce.
 */

import type { AdaptiveSpin } from './adaptive-spin.js';
import { SharedWords } from './shared-words.js';

/** Words that a doorbell takes in a shared array. */
export const DOORBELL_WORDS = 2;

export class Doorbell {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #rings: number;
  readonly #asleep: number;

  /** Takes words `index` and `index + 1` of `buffer`, which start as 0. */
  constructor(buffer = new SharedWords(DOORBELL_WORDS).buffer, index = 0) {
    this.#words = new Int32Array(buffer);
    this.#rings = index;
    this.#asleep = index + 1;
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer;
  }

  /** Times that a sleeping waiter was woken; rings while it was awake are not counted, they cost nothing. */
  get rings(): number {
    return Atomics.load(this.#words, this.#rings) >>> 0;
  }

  /** Call after the work is published. Returns whether a waiter slept and was woken. */
  ring(): boolean {
    if (Atomics.load(this.#words, this.#asleep) === 0) return false;
    Atomics.add(this.#words, this.#rings, 1);
    Atomics.notify(this.#words, this.#rings);
    return true;
  }

  /**
   * Blocks this thread until there is work or the time is over; says whether there is work. For threads that have no
   * event loop to serve. `hasWork` looks with ordering, by atomic loads; it is the last look that must not miss. What the
   * budget's look found is not looked at again: the caller acts by an atomic operation, which makes sure of it.
   */
  sleep(hasWork: () => boolean, timeoutMs = Infinity, look?: AdaptiveSpin): boolean {
    if (look === undefined ? hasWork() : look.spin()) return true;
    const end = timeoutMs === Infinity ? Infinity : performance.now() + timeoutMs;
    let found = false;
    for (;;) {
      Atomics.store(this.#words, this.#asleep, 1);
      const seen = Atomics.load(this.#words, this.#rings);
      found = hasWork();
      const left = end - (end === Infinity ? 0 : performance.now());
      if (found || left <= 0) break;
      Atomics.wait(this.#words, this.#rings, seen, left);
    }
    Atomics.store(this.#words, this.#asleep, 0);
    return found;
  }

  /** The same for a thread whose event loop must go on. It does not keep the process alive. */
  async wait(hasWork: () => boolean, timeoutMs = Infinity, look?: AdaptiveSpin): Promise<boolean> {
    if (look === undefined ? hasWork() : look.spin() && hasWork()) return true;
    const end = timeoutMs === Infinity ? Infinity : performance.now() + timeoutMs;
    let found = false;
    for (;;) {
      Atomics.store(this.#words, this.#asleep, 1);
      const seen = Atomics.load(this.#words, this.#rings);
      found = hasWork();
      const left = end - (end === Infinity ? 0 : performance.now());
      if (found || left <= 0) break;
      const sleep = Atomics.waitAsync(this.#words, this.#rings, seen, left);
      if (sleep.async) await sleep.value;
    }
    Atomics.store(this.#words, this.#asleep, 0);
    return found;
  }
}
