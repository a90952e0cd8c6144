/**
 * The thread that starts a program under a seccomp filter. The filter applies to this thread until
 * it ends, and to the program. So the thread does nothing else, not even handle signals, and ends.
 *
 * Called by: started-program.ts.
 */

import { host } from '../host/current.js';
import { installFilter, type Listener } from '../host/node/linux/seccomp-filter.js';
import { blockSignals, spawnProgram } from '../host/node/linux/spawned-program.js';

export interface ProgramThreadData {
  readonly program: string;
  readonly args: readonly string[];
  /** `NAME=value`. */
  readonly environment: readonly string[];
  /** As in `installFilter`. */
  readonly isInterruptible: boolean;
}

export type ProgramThreadMessage =
  | { readonly kind: 'listening'; readonly listener: Listener }
  /** `pid`: −errno if the program could not be started. */
  | { readonly kind: 'started'; readonly pid: number };

const thread = await host.startedThread();
const { program, args, environment, isInterruptible } = thread.data as ProgramThreadData;
const post = (message: ProgramThreadMessage): void => thread.post(message);
blockSignals();
post({ kind: 'listening', listener: installFilter(isInterruptible) });
// Its first calls are answered while this thread waits for exec.
post({ kind: 'started', pid: spawnProgram(program, args, environment) });
thread.close();
