/**
 * SessionEnd: how a session (one `upcall run`, `trace` or `top`) ended, its exit status and its
 * message.
 *
 * Called by: session.ts and session-ending.ts. The signals are also those of `compare` and `top`.
 */

import type { VmEnd } from '../vm/user-vm-events.js';
import { ExitStatus } from './exit-status.js';

export type SessionEnd =
  /** Ended by the guest or its hypervisor. `exitCode`: from the debug exit port, if written. */
  | { readonly kind: 'vm-ended'; readonly end: VmEnd; readonly exitCode: number | undefined }
  /** The text of `--expect` appeared. */
  | { readonly kind: 'text-seen' }
  /** The time of `--timeout` passed. */
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'escape-key' }
  | { readonly kind: 'signal'; readonly signal: EndingSignal }
  /** Standard output failed. */
  | { readonly kind: 'output-broken'; readonly error: NodeJS.ErrnoException };

const SIGNAL_STATUS = {
  SIGINT: ExitStatus.INTERRUPTED,
  SIGTERM: ExitStatus.TERMINATED,
  SIGHUP: ExitStatus.HUNG_UP,
  SIGQUIT: ExitStatus.QUIT,
} as const;
export type EndingSignal = keyof typeof SIGNAL_STATUS;
export const ENDING_SIGNALS = Object.keys(SIGNAL_STATUS) as EndingSignal[];

/** `isExpecting`: whether there is an expected text and it has not appeared. */
export function statusOf(end: SessionEnd, isExpecting: boolean): ExitStatus {
  switch (end.kind) {
    case 'text-seen':
      return ExitStatus.OK;
    case 'timed-out':
      return ExitStatus.TIMED_OUT;
    case 'signal':
      return SIGNAL_STATUS[end.signal];
    case 'output-broken':
      return end.error.code === 'EPIPE' ? ExitStatus.OUTPUT_CLOSED : ExitStatus.INTERNAL_ERROR;
    case 'vm-ended':
      if (end.end.reason !== 'power-off' || (end.exitCode ?? 0) !== 0) return ExitStatus.GUEST_FAILED;
      // TIMED_OUT also says that the session ended before the expected text appeared.
      return isExpecting ? ExitStatus.TIMED_OUT : ExitStatus.OK;
    case 'escape-key':
      return isExpecting ? ExitStatus.TIMED_OUT : ExitStatus.OK;
  }
}

/**
 * The message for the operator. Undefined if the VM's events have said everything. `foreign`: the
 * guest and its hypervisor, if that is a module of the operator.
 */
export function endMessage(
  end: SessionEnd,
  expected: string | undefined,
  timeoutMs: number | undefined,
  foreign?: string,
): string | undefined {
  const missing = expected === undefined ? undefined : `"${expected}" did not appear on the console`;
  switch (end.kind) {
    case 'timed-out': {
      const after = `after ${(timeoutMs ?? 0) / 1000} s`;
      return missing === undefined ? `ended ${after}` : `${missing}; ended ${after}`;
    }
    case 'output-broken':
      // EPIPE: the reader has seen enough, for example `head`.
      return end.error.code === 'EPIPE' ? undefined : `cannot write to standard output: ${end.error.message}`;
    case 'signal':
      return `ended by ${end.signal}`;
    case 'vm-ended':
      if (foreign !== undefined && (end.end.reason === 'triple-fault' || end.end.reason === 'crashed'))
        return `that was ${foreign}. Check that the guest is made for this hypervisor, then the hypervisor`;
      if (end.exitCode !== undefined && end.exitCode !== 0) return `the guest's exit code is ${end.exitCode}`;
      return missing;
    case 'text-seen':
      return undefined;
    case 'escape-key':
      return missing;
  }
}
