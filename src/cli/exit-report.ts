/**
 * reportExit: reports a process.exit() in the operator's own code. It would end a session without a
 * message, and with a status that may be 0.
 *
 * Called by: runSession, in the process's `exit` event.
 */

import { authorFrame } from '../io-request/author-frame.js';
import { ExitStatus } from './exit-status.js';
import type { Reporter } from './reporter.js';
import { restoreTerminal } from './terminal.js';

/** Must run inside the event: the stack then has the caller of process.exit(). */
export function reportExit(code: number, reporter: Reporter): void {
  const place = authorFrame(new Error().stack ?? '');
  if (place === undefined) return;
  restoreTerminal();
  reporter.state.isRaw = false;
  reporter.line(
    `a device or hypervisor ended the process by process.exit(${code}) (at ${place}). Throw an error instead`,
  );
  process.exitCode = ExitStatus.INTERNAL_ERROR;
}
