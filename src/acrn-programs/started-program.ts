/**
 * startProgram: starts a program under a seccomp filter, so that its calls for /dev/acrn_hsm stop
 * and are notified to this process.
 *
 * Called by: cli/hsm-session.ts, cli/hsm-connect.ts, and the self-test in support.ts.
 */

import { host } from '../host/current.js';
import { errnoName } from '../host/node/linux/errno-name.js';
import type { Listener } from '../host/node/linux/seccomp-filter.js';
import { awaitEnd, type ProgramEnd } from '../host/node/linux/spawned-program.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { Deferred } from '../sync/deferred.js';
import type { ProgramThreadData, ProgramThreadMessage } from './program-thread.js';

const ENOENT = 2;
const EACCES = 13;
const ENOEXEC = 8;

export interface StartedProgram {
  readonly pid: number;
  readonly ended: Promise<ProgramEnd>;
}

/**
 * `onListener` gets the filter's listener, and must serve it at once (notified-program.ts).
 * `isInterruptible`: as in `installFilter`, for tests. Rejects with TOOL_MISSING or TOOL_FAILED if
 * the program cannot be started, and with THREAD_FAILED if the filter cannot be installed.
 */
export async function startProgram(
  [program = '', ...args]: readonly string[],
  onListener: (listener: Listener) => void,
  isInterruptible = false,
): Promise<StartedProgram> {
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ''}`);
  const data: ProgramThreadData = { program, args, environment, isInterruptible };
  const started = new Deferred<number>();
  host.startThread(new URL('./program-thread.js', import.meta.url), {
    name: `start of ${program}`,
    data,
    onMessage: (message) => {
      const one = message as ProgramThreadMessage;
      if (one.kind === 'listening') onListener(one.listener);
      else started.resolve(one.pid);
    },
    onError: (error) => started.reject(new UpcallError('THREAD_FAILED', error.message, { cause: error })),
    onExit: (code) => started.reject(new UpcallError('THREAD_FAILED', `the program's thread ended with ${code}`)),
  });
  const pid = await started.promise;
  if (pid < 0) throw notStarted(program, -pid);
  const ended = new Deferred<ProgramEnd>();
  awaitEnd(pid, (end) => ended.resolve(end));
  return { pid, ended: ended.promise };
}

/** Why a program cannot be started. */
export function notStarted(program: string, errno: number): UpcallError {
  if (errno === ENOENT)
    return new UpcallError('TOOL_MISSING', `${program}: there is no such program`, {
      remedy: 'Give its path, for example ./vm-sample, or put its folder into PATH',
    });
  if (errno === ENOEXEC)
    return new UpcallError('TOOL_FAILED', `${program} is no program for this machine`, {
      remedy: `A script has to begin with #! and its interpreter, or write: -- sh ${program}`,
    });
  return new UpcallError('TOOL_FAILED', `${program} cannot be started: ${errnoName(errno)}`, {
    remedy: errno === EACCES ? 'Give a file that may be executed (chmod +x)' : 'Try to run it without upcall hsm',
  });
}
