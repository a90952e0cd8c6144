// @ts-check
/**
 * A request to a device in a thread of its own, through three threads: all parked between moves, or
 * with the product's adaptive spin.
 */

import { createMachine, nsEach } from '../machine.js';

export const title = 'A request to a device in its own thread';

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'three threads, all sleep',
    unit: 'ns',
    process: { file: 'cases/device-thread.js', args: ['sleep'] },
    compare: [{ to: 'Atomics.wait', times: 2, max: 1.2 }],
    quick: true,
  },
  {
    name: 'three threads, adaptive',
    unit: 'ns',
    process: { file: 'cases/device-thread.js', args: ['adaptive'] },
    compare: [{ to: 'Atomics.wait', times: 2 }],
  },
];

/** @param {string} how `sleep` or `adaptive` */
export async function measure(how) {
  const sleepsAtOnce = how === 'sleep';
  const machine = await createMachine({
    vcpus: 1,
    loop: { warmUpMs: 400, measureMs: 400, sleepsAtOnce },
    ...(sleepsAtOnce ? { spinUs: 0 } : {}),
    deviceModule: new URL(sleepsAtOnce ? '../devices/sleeper.js' : '../devices/reader.js', import.meta.url),
  });
  const [result] = await machine.run();
  return { value: result === undefined ? NaN : nsEach(result) };
}
