/** For end-to-end tests: starts the command line, or another program, as a process. */

import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../bundle/upcall.js', import.meta.url));

/** Time limit of a process. */
const LIMIT_MS = 240_000;

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly ended: Promise<Ended>;
  /**
   * Resolves when this text appears on standard output after the last match. Rejects if the output
   * ends without it.
   */
  readonly until: (text: string) => Promise<void>;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Time limit in ms. Default: LIMIT_MS. */
  readonly limitMs?: number;
}

export function start(command: string, args: readonly string[], options: StartOptions = {}): Started {
  const env: NodeJS.ProcessEnv = { ...process.env, ...options.env };
  // The test runner's settings must not reach the processes under test.
  delete env['NODE_TEST_CONTEXT'];
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let stdout = '';
  let stderr = '';
  /** Where `until` searches next: after its last match. */
  let from = 0;
  let check: () => void = () => undefined;
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString('latin1');
    check();
  });
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString('latin1')));
  // A process that ends may not read all of its input.
  child.stdin.on('error', () => undefined);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.limitMs ?? LIMIT_MS);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, stdout, stderr });
    });
  });
  const until = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      check = () => {
        const at = stdout.indexOf(text, from);
        if (at < 0) return;
        from = at + text.length;
        check = () => undefined;
        resolve();
      };
      check();
      ended.then(
        ({ status }) => reject(new Error(`ended with ${status} before "${text}": ${stdout}\n${stderr}`)),
        reject,
      );
    });
  return { child, ended, until };
}

/** Runs `upcall ARGS` with this standard input until it ends. */
export function upcall(args: readonly string[], input = '', options: StartOptions = {}): Promise<Ended> {
  const { child, ended } = start(process.execPath, [MAIN, ...args], options);
  child.stdin.end(input);
  return ended;
}

/** At `prompt` the shell prints `answer` for `command`, and its end powers the machine off. */
export async function shellAnswers(session: Started, prompt: string, command: string, answer: string): Promise<void> {
  await session.until(prompt);
  session.child.stdin.write(`${command}\n`);
  await session.until(answer);
  session.child.stdin.write('exit\n');
  const { status, stderr } = await session.ended;
  assert.equal(status, 0, stderr);
}
