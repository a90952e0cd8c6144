// @ts-check
/**
 * A mutex over one shared word, for the explorer (main.js). 0: free. 1: held. 2: held, and a thread
 * may sleep. Two threads take it in turn around a counter whose increment is not atomic.
 */

import { note } from 'upcall/exploration';

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

export class Mutex {
  #word;

  /** @param {Int32Array<SharedArrayBuffer>} word */
  constructor(word) {
    this.#word = word;
  }

  lock() {
    let was = Atomics.compareExchange(this.#word, 0, FREE, HELD);
    while (was !== FREE) {
      // Say that a thread sleeps, then sleep unless the mutex is free by now.
      if (was === CONTENDED || Atomics.compareExchange(this.#word, 0, HELD, CONTENDED) !== FREE)
        Atomics.wait(this.#word, 0, CONTENDED);
      was = Atomics.compareExchange(this.#word, 0, FREE, CONTENDED);
    }
  }

  unlock() {
    if (Atomics.exchange(this.#word, 0, FREE) === CONTENDED) Atomics.notify(this.#word, 0, 1);
  }
}

/** @typedef {{ mutex: Int32Array<SharedArrayBuffer>, counter: Int32Array<SharedArrayBuffer> }} Shared */

/**
 * What the threads share.
 * @returns {Shared}
 */
export function makeShared() {
  return { mutex: new Int32Array(new SharedArrayBuffer(4)), counter: new Int32Array(new SharedArrayBuffer(4)) };
}

/**
 * One thread: takes the mutex `rounds` times and counts.
 * @param {Shared} shared
 * @param {number} rounds
 */
export function worker({ mutex, counter }, rounds) {
  const lock = new Mutex(mutex);
  for (let round = 0; round < rounds; round++) {
    lock.lock();
    const before = Atomics.load(counter, 0);
    Atomics.store(counter, 0, before + 1);
    if (Atomics.load(counter, 0) !== before + 1) throw new Error('two threads hold the mutex');
    note('counted', before + 1);
    lock.unlock();
  }
}
