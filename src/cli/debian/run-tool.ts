/**
 * runTool: runs one of the machine's own programs and waits for it. What it prints is kept up to a
 * limit, so that an error can show its last lines.
 */

import { spawn } from 'node:child_process';
import { UpcallError } from '../../io-request/upcall-error.js';

export interface ToolResult {
  readonly status: number | null;
  /** Standard output; of a long one only the end. */
  readonly output: string;
  /** The end of both outputs, for messages. */
  readonly lastLines: string;
}

/** Enough for the description of a package. */
const MAX_OUTPUT_CHARACTERS = 1 << 20;
const LAST_LINES = 6;

/**
 * Rejects with TOOL_MISSING if there is no such program; a status other than 0 is the caller's to
 * judge.
 */
export function runTool(program: string, parameters: readonly string[], folder: string): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
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
    child.on('error', (cause) => reject(toolMissing(program, cause)));
    child.on('close', (status) => resolve({ status, output, lastLines: lastLines(both) }));
  });
}

/**
 * Tools fetch and unpack Debian's packages; where they are missing, the operator brings a kernel
 * himself.
 */
export function toolMissing(program: string, cause: unknown): UpcallError {
  return new UpcallError('TOOL_MISSING', `"${program}" cannot be run, and Debian's packages are fetched with it`, {
    remedy: 'Give a 32-bit kernel and an initial RAM disk of your own with --kernel and --initrd',
    cause,
  });
}

function lastLines(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(-LAST_LINES).join('\n');
}
