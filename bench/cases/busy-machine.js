// @ts-check
/**
 * Requests while three other threads of the process compute, more than two cores can run: adaptive
 * spinning against parking at once.
 */

import { Worker } from 'node:worker_threads';
import { createMachine, nsEach } from '../machine.js';

export const title = 'Beside three busy threads';

const FILE = 'cases/busy-machine.js';
const BUSY_THREADS = 3;
/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'beside three busy threads, adaptive',
    unit: 'ns',
    process: { file: FILE, args: ['adaptive'], cores: 2 },
    compare: [{ to: 'beside three busy threads, sleeping at once', max: 1.1 }],
  },
  {
    name: 'beside three busy threads, sleeping at once',
    unit: 'ns',
    process: { file: FILE, args: ['sleep'], cores: 2 },
  },
];

/** @param {string} how `adaptive` or `sleep` */
export async function measure(how) {
  const sleepsAtOnce = how === 'sleep';
  const busy = Array.from({ length: BUSY_THREADS }, () => new Worker('for (;;);', { eval: true }));
  const machine = await createMachine({
    vcpus: 1,
    loop: { warmUpMs: 1000, measureMs: 2000, sleepsAtOnce },
    ...(sleepsAtOnce ? { spinUs: 0 } : {}),
  });
  const [result] = await machine.run();
  await Promise.all(busy.map((thread) => thread.terminate()));
  return { value: result === undefined ? NaN : nsEach(result) };
}
