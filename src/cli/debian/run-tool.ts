/**
 * runTool: runs one of the machine's programs and returns its status and the end of its output.
 *
 * Called by: PrivateApt.
 */

import { spawn } from 'node:child_process';
import { UpcallError } from '../../io-request/upcall-error.js';

export interface ToolResult {
  /** The exit status. Null if a signal ended the program. */
  readonly status: number | null;
  /** Standard output, at most its last MAX_OUTPUT_CHARACTERS. */
  readonly output: string;
  /** The last lines of both outputs. */
  readonly lastLines: string;
}

/** Limit of the output that is kept, above the description of any package. */
const MAX_OUTPUT_CHARACTERS = 1 << 20;
/** How many lines a message quotes. */
const LAST_LINES = 6;

/**
 * Rejects with TOOL_MISSING if the program cannot be run, and with the signal's reason after an
 * abort, when the program has ended. Callers must check the status.
 */
export function runTool(
  program: string,
  parameters: readonly string[],
  folder: string,
  signal?: AbortSignal,
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const child = spawn(program, parameters, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    let output = '';
    let both = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-MAX_OUTPUT_CHARACTERS);
      both = (both + text).slice(-MAX_OUTPUT_CHARACTERS);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      both = (both + text).slice(-MAX_OUTPUT_CHARACTERS);
    });
    const onAbort = (): void => void child.kill();
    signal?.addEventListener('abort', onAbort);
    child.on('error', (cause) => reject(toolMissing(program, cause)));
    child.on('close', (status) => {
      signal?.removeEventListener('abort', onAbort);
      if (signal?.aborted === true) reject(abortReason(signal));
      else resolve({ status, output, lastLines: lastLines(both) });
    });
  });
}

/** The error for a missing tool. Its remedy: without the tools, users can give their own kernel. */
export function toolMissing(program: string, cause: unknown): UpcallError {
  return new UpcallError('TOOL_MISSING', `cannot run "${program}", which is needed to fetch Debian's packages`, {
    remedy: 'Give a 32-bit kernel and an initial RAM disk of your own with --kernel and --initrd',
    cause,
  });
}

function abortReason({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error('aborted');
}

function lastLines(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(-LAST_LINES).join('\n');
}
