// @ts-check
/**
 * Runs one process of the benchmark and reads its numbers: the last line of its output, as JSON.
 */

import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compile } from './compile-c.js';

const TIMEOUT_MS = 120_000;
const CASE = fileURLToPath(new URL('./case.js', import.meta.url));
const execute = promisify(execFile);

/**
 * @typedef {{ values: Record<string, number> } | { unavailable: string } | { failure: string }} Outcome
 */

/**
 * The identity of a process: rows with the same key share one run.
 * @param {import('./rows.js').Process} one
 */
export const keyOf = ({ file, args = [], flags = [] }) => [...flags, file, ...args].join(' ');

/**
 * Never rejects.
 * @param {import('./rows.js').Process} one
 * @param {AbortSignal} [signal] kills it
 * @returns {Promise<Outcome>}
 */
export async function runProcess({ file, args = [], flags = [], cores = 1 }, signal) {
  if (availableParallelism() < cores) return { unavailable: `needs ${cores} cores` };
  let command = process.execPath;
  let commandArgs = [...flags, CASE, file, ...args];
  if (file.endsWith('.c')) {
    const compiled = await compile(file);
    if ('unavailable' in compiled) return compiled;
    command = compiled.program;
    commandArgs = [...args];
  }
  try {
    const { stdout } = await execute(command, commandArgs, {
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      ...(signal === undefined ? {} : { signal }),
    });
    const values = JSON.parse(stdout.trim().split('\n').pop() ?? '');
    return 'unavailable' in values ? values : { values };
  } catch (error) {
    return { failure: reasonOf(/** @type {Error & { stderr?: string, killed?: boolean }} */ (error)) };
  }
}

/**
 * The most informative line: that of a thrown error, otherwise the last of the error output.
 * @param {Error & { stderr?: string, killed?: boolean }} error
 */
function reasonOf(error) {
  if (error.killed === true) return `took more than ${TIMEOUT_MS / 1000} s`;
  const lines = (error.stderr ?? '').trim().split('\n').filter(Boolean);
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? error.message;
}
