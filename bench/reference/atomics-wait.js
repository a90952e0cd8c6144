// @ts-check
/**
 * Two threads that sleep in Atomics.wait and wake each other, sharing only two words. And the same
 * with Atomics.waitAsync on one side, as in the Service VM's thread, whose event loop must not
 * block.
 */

import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { measureTrips } from './round-trip.js';

export const title = 'JavaScript: there and back between two threads that sleep';

const file = 'reference/atomics-wait.js';
/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'Atomics.wait',
    unit: 'ns',
    process: { file, args: ['wait'] },
    compare: [{ to: 'C: futex' }],
    quick: true,
  },
  {
    name: 'Atomics.wait and Atomics.waitAsync',
    unit: 'ns',
    process: { file, args: ['waitAsync'] },
    compare: [{ to: 'Atomics.wait' }],
  },
];

/** Each word has a cache line of its own. */
const THERE = 0;
const BACK = 16;

/** @param {Int32Array<SharedArrayBuffer>} words @param {number} index @param {number} value */
function set(words, index, value) {
  Atomics.store(words, index, value);
  Atomics.notify(words, index);
}

/** @param {Int32Array<SharedArrayBuffer>} words */
function there(words) {
  const number = Atomics.load(words, BACK);
  set(words, THERE, (number + 1) | 0);
  return number;
}

/** @param {string} how */
export function measure(how) {
  const words = new Int32Array(new SharedArrayBuffer(128));
  new Worker(new URL(import.meta.url), { workerData: words });
  return measureTrips(32, async (count) => {
    for (; count > 0; count--) {
      const number = there(words);
      if (how === 'wait') Atomics.wait(words, BACK, number);
      else {
        const sleep = Atomics.waitAsync(words, BACK, number);
        if (sleep.async) await sleep.value;
      }
    }
  });
}

if (!isMainThread) {
  const words = /** @type {Int32Array<SharedArrayBuffer>} */ (workerData);
  for (let number = 0; ; number = (number + 1) | 0) {
    Atomics.wait(words, THERE, number);
    set(words, BACK, (number + 1) | 0);
  }
}
