// @ts-check
/**
 * Two threads that send each other a number over a MessagePort, the usual channel between threads
 * in Node.
 */

import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { measureTrips } from './round-trip.js';

export const title = 'JavaScript: messages between two threads';

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'postMessage',
    unit: 'ns',
    process: { file: 'reference/post-message.js' },
    compare: [{ to: 'Atomics.wait' }],
  },
];

export async function measure() {
  const worker = new Worker(new URL(import.meta.url));
  await once(worker, 'online');
  /** @type {(() => void) | undefined} */
  let arrived;
  worker.on('message', () => arrived?.());
  return measureTrips(32, async (count) => {
    for (; count > 0; count--) {
      const answer = new Promise((/** @type {(value: void) => void} */ resolve) => (arrived = resolve));
      worker.postMessage(count);
      await answer;
    }
  });
}

if (!isMainThread) parentPort?.on('message', (number) => parentPort?.postMessage(number));
