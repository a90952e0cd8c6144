// @ts-check
/**
 * From the start of `upcall run hello` until the guest's first output, and the start of a Node.js
 * that does nothing.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { commandFile } from '../product.js';

export const title = 'Starting';

const FILE = 'cases/first-request.js';
const RUNS = 5;

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'first request',
    unit: 'ms',
    process: { file: FILE, args: ['request'] },
    compare: [{ to: 'bare node' }],
    quick: true,
    max: 400,
  },
  { name: 'bare node', unit: 'ms', process: { file: FILE, args: ['bare'] } },
];

/** @param {string} what */
export async function measure(what) {
  const args = what === 'bare' ? ['-e', 'process.stdout.write("x")'] : [commandFile, 'run', 'hello'];
  /** @type {number[]} */
  const times = [];
  for (let run = 0; run < RUNS; run++) {
    const startedMs = performance.now();
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    times.push(performance.now() - startedMs);
    child.stdout.resume();
    await exited;
  }
  times.sort((a, b) => a - b);
  return { value: times[RUNS >> 1] ?? NaN };
}
