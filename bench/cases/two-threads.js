// @ts-check
/**
 * A request between a vCPU's thread and the Service VM's: while both spin, and when both park after
 * each move.
 */

import { createMachine, nsEach } from '../machine.js';

export const title = 'A request between two threads';

const FILE = 'cases/two-threads.js';
/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'two threads, both spin',
    unit: 'ns',
    process: { file: FILE, args: ['spin'], cores: 2 },
    compare: [{ to: 'C: a slot', max: 1.3 }, { to: 'C: a slot, moved by compare-and-exchange' }],
    quick: true,
  },
  {
    name: 'two threads, both sleep',
    unit: 'ns',
    process: { file: FILE, args: ['sleep'] },
    compare: [{ to: 'Atomics.wait', max: 1.2 }, { to: 'Atomics.wait and Atomics.waitAsync' }],
    quick: true,
  },
];

/** Long enough that the worker never parks. The vCPU's own spin is long enough for a completion. */
const LONG_SPIN_US = 10_000;

/** @param {string} how `spin` or `sleep` */
export async function measure(how) {
  const sleepsAtOnce = how === 'sleep';
  const machine = await createMachine({
    vcpus: 1,
    loop: { warmUpMs: 400, measureMs: 400, sleepsAtOnce },
    spinUs: sleepsAtOnce ? 0 : LONG_SPIN_US,
  });
  const [result] = await machine.run();
  return { value: result === undefined ? NaN : nsEach(result) };
}
