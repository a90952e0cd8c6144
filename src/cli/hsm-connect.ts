/**
 * runConnected: starts a program whose VMs run in another process, the server of
 * `upcall hsm --serve`.
 *
 * Called by: `upcall hsm --connect`.
 *
 * The program's signals and exit status are its own (program-signals.ts). If the server or this
 * process ends, the program is killed. The server's lines about it are printed here, too.
 */

import { ServerConnection } from '../acrn-programs/server-connection.js';
import { startShimmedProgram } from '../acrn-programs/shimmed-program.js';
import { startProgram, type StartedProgram } from '../acrn-programs/started-program.js';
import { Watchdog } from '../acrn-programs/watchdog.js';
import { forwardSignals, sendSignal, statusOf } from './program-signals.js';
import type { Reporter } from './reporter.js';

export interface ConnectPlan {
  /** Absolute path of the server's socket. */
  readonly socket: string;
  /**
   * Whether the program reaches the device by a preloaded C library, the shim, instead of by a
   * seccomp filter.
   */
  readonly shim: boolean;
  /** The program and its arguments. */
  readonly program: readonly string[];
}

/** Returns the program's exit status. Rejects with UpcallError if it cannot be started. */
export async function runConnected({ socket, shim, program }: ConnectPlan, reporter: Reporter): Promise<number> {
  const ofServer = reporter.about('server');
  const connection = await ServerConnection.open(socket, !shim, (line) => ofServer.line(line));
  const watchdog = new Watchdog();
  let started: StartedProgram | undefined;
  const stopForwarding = forwardSignals(() => started?.pid);
  try {
    started = shim
      ? await startShimmedProgram(program, connection.address)
      : await startProgram(program, (listener) => connection.giveListener(listener));
    watchdog.watch([started.pid]);
    const end = await Promise.race([started.ended, connection.closed]);
    if (end !== 'closed') return statusOf(end, reporter);
    reporter.line(`the server (process ${connection.serverPid}) has ended: the program is killed`);
    sendSignal(started.pid, 'SIGKILL');
    return statusOf(await started.ended, reporter);
  } finally {
    connection.close();
    watchdog.close();
    stopForwarding();
  }
}
