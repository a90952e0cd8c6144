/**
 * startProgram: the method of Host that starts programs of the machine.
 *
 * Called by: node-host.ts, which loads it on demand.
 */

import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { PROGRAM_STREAM, type HostProgram, type HostProgramEnd } from '../host-program.js';
import { SocketStream } from './socket-stream.js';

/** Characters that are kept of the end of the program's output, for messages. */
const MAX_KEPT_CHARACTERS = 4096;
const LAST_LINES = 3;
/** A program that was asked to end is killed after this time. */
const END_MS = 1000;

/**
 * Starts `program`, which is searched in PATH. It reads no input, and its session is its own:
 * signals of the terminal do not reach it. Rejects with the host's own error.
 */
export async function startProgram(program: string, parameters: readonly string[]): Promise<HostProgram> {
  const child = spawn(program, parameters, {
    // The fourth is a pair of connected sockets: PROGRAM_STREAM.
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
    // Its messages are part of upcall's, which are in English.
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr] as Socket[])
    stream
      .unref()
      .setEncoding('utf8')
      .on('data', (text: string) => (output = (output + text).slice(-MAX_KEPT_CHARACTERS)));
  const ended = new Promise<HostProgramEnd>((resolve) => {
    child.on('close', (status, signal) =>
      resolve({ how: signal === null ? `status ${status}` : `signal ${signal}`, lastLines: lastLines(output) }),
    );
  });
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  child.unref();
  return {
    stream: new SocketStream(child.stdio[PROGRAM_STREAM] as Socket),
    ended,
    end: () => {
      child.kill();
      const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
      void ended.then(() => clearTimeout(timer));
    },
  };
}

function lastLines(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '')
    .slice(-LAST_LINES)
    .join('; ');
}
