/**
 * Starts programs with the shim: a C library that answers their calls for /dev/acrn_hsm
 * (native/acrn-hsm-shim.c). It needs a C compiler, and neither a seccomp filter nor the right to
 * trace, so it also works under a debugger, on old kernels and on other processors.
 *
 * Called by: cli/hsm-session.ts and cli/hsm-connect.ts.
 */

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { host } from '../host/current.js';
import type { ProgramEnd } from '../host/node/linux/spawned-program.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { notStarted, type StartedProgram } from './started-program.js';

const SOURCE = new URL('../../native/acrn-hsm-shim.c', import.meta.url);
const COMPILER = 'cc';
/** The shim defines functions that fortified headers replace. */
const FLAGS = ['-shared', '-fPIC', '-O2', '-std=gnu11', '-U_FORTIFY_SOURCE', '-fvisibility=hidden'];
/** Hexadecimal digits in the file's name, of a hash of the source and the compiler. */
const HASH_DIGITS = 16;

/** Where a server's socket is. */
export interface ServerAddress {
  readonly path: string;
  /** The server's own name of it. Default: `path`. */
  readonly name?: string;
}

/**
 * Compiles the shim, or finds it in `folder`. Returns its path. Throws TOOL_MISSING without a C
 * compiler, also if `folder` has the shim, and TOOL_FAILED if the shim cannot be compiled, written
 * or preloaded.
 */
export function compileShim(folder = host.cacheFolder): string {
  const version = spawnSync(COMPILER, ['--version'], { encoding: 'utf8' });
  if (version.error !== undefined)
    throw new UpcallError('TOOL_MISSING', `there is no C compiler: ${COMPILER} is not in PATH`, {
      remedy: 'Install one, for example apt install gcc libc6-dev, or do without --shim',
    });
  const source = readFileSync(SOURCE);
  const hash = createHash('sha256')
    .update(source)
    .update(`${version.stdout} ${process.arch} ${FLAGS.join(' ')}`)
    .digest('hex')
    .slice(0, HASH_DIGITS);
  const file = join(folder, `acrn-hsm-shim-${hash}.so`);
  // The dynamic linker separates the names in LD_PRELOAD by these.
  if (/[\s:]/.test(file))
    throw new UpcallError('TOOL_FAILED', `${file} cannot be preloaded: its name has a space or a colon`, {
      remedy: 'Set XDG_CACHE_HOME to another folder',
    });
  if (existsSync(file)) return file;
  // Renamed once it is complete: other processes may look for it, or compile it, at the same time.
  const draft = `${file}.${process.pid}`;
  try {
    mkdirSync(folder, { recursive: true });
    const compiled = spawnSync(COMPILER, [...FLAGS, '-o', draft, fileURLToPath(SOURCE), '-ldl'], { encoding: 'utf8' });
    if (compiled.status !== 0)
      throw new UpcallError('TOOL_FAILED', `${COMPILER} cannot compile the shim: ${compiled.stderr}`, {
        remedy: 'Install the headers of the C library, for example: apt install libc6-dev',
      });
    renameSync(draft, file);
  } catch (error) {
    if (existsSync(draft)) rmSync(draft, { force: true });
    if (error instanceof UpcallError) throw error;
    throw new UpcallError('TOOL_FAILED', `the shim cannot be kept: ${(error as Error).message}`, {
      remedy: 'Set XDG_CACHE_HOME to a folder that may be written',
    });
  }
  return file;
}

/** The environment in which a program finds the server by the shim. */
export function shimEnvironment(
  shim: string,
  { path, name = path }: ServerAddress,
  environment: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const others = environment['LD_PRELOAD'];
  return {
    ...environment,
    LD_PRELOAD: others === undefined || others === '' ? shim : `${shim}:${others}`,
    UPCALL_HSM_SOCKET: path,
    UPCALL_HSM_NAME: name,
  };
}

/** Rejects with UpcallError if the program cannot be started. */
export async function startShimmedProgram(
  [program = '', ...args]: readonly string[],
  server: ServerAddress,
): Promise<StartedProgram> {
  // Compiled here again if it was removed: without the file, the dynamic linker prints a line, and
  // the program finds no device.
  const env = shimEnvironment(compileShim(), server);
  const child = spawn(program, args, { stdio: 'inherit', env });
  const ended = new Promise<ProgramEnd>((resolve) => {
    child.on('exit', (status, signal) =>
      resolve(signal === null ? { status: status ?? 0 } : { signal: constants.signals[signal] }),
    );
  });
  await new Promise<void>((resolve, reject) => {
    child.on('spawn', () => resolve());
    child.on('error', (error: NodeJS.ErrnoException) => reject(notStarted(program, -(error.errno ?? 0))));
  });
  return { pid: child.pid as number, ended };
}
