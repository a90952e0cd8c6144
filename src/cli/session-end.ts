/**
 * SessionEnd: how a session on the command line ended, and the exit status that follows from it.
 */

import type { VmEnd } from '../vm/user-vm-events.js';
import { ExitStatus } from './exit-status.js';

export type SessionEnd =
  /**
   * The guest or its hypervisor ended it. `exitCode` is what the guest wrote to the debug exit
   * port, if it did.
   */
  | { readonly kind: 'vm-ended'; readonly end: VmEnd; readonly exitCode: number | undefined }
  | { readonly kind: 'text-seen' }
  | { readonly kind: 'time-over' }
  | { readonly kind: 'escape-key' }
  | { readonly kind: 'signal'; readonly signal: EndingSignal }
  /** Standard output takes no more. */
  | { readonly kind: 'output-broken'; readonly error: NodeJS.ErrnoException };

const SIGNAL_STATUS = {
  SIGINT: ExitStatus.INTERRUPTED,
  SIGTERM: ExitStatus.TERMINATED,
  SIGHUP: ExitStatus.HUNG_UP,
} as const;
export type EndingSignal = keyof typeof SIGNAL_STATUS;
export const ENDING_SIGNALS = Object.keys(SIGNAL_STATUS) as EndingSignal[];

/** `isExpecting`: a text is expected, and it has not been seen. */
export function statusOf(end: SessionEnd, isExpecting: boolean): ExitStatus {
  switch (end.kind) {
    case 'text-seen':
      return ExitStatus.OK;
    case 'time-over':
      return ExitStatus.NOT_IN_TIME;
    case 'signal':
      return SIGNAL_STATUS[end.signal];
    case 'output-broken':
      return end.error.code === 'EPIPE' ? ExitStatus.OUTPUT_CLOSED : ExitStatus.INTERNAL_ERROR;
    case 'vm-ended':
      if (end.end.reason !== 'power-off' || (end.exitCode ?? 0) !== 0) return ExitStatus.GUEST_TROUBLE;
      return isExpecting ? ExitStatus.NOT_IN_TIME : ExitStatus.OK;
    case 'escape-key':
      return isExpecting ? ExitStatus.NOT_IN_TIME : ExitStatus.OK;
  }
}

/** What the operator is told besides the VM's events; undefined when there is nothing to add. */
export function noteOn(
  end: SessionEnd,
  expected: string | undefined,
  timeoutMs: number | undefined,
): string | undefined {
  const missing = expected === undefined ? undefined : `"${expected}" did not appear on the console`;
  switch (end.kind) {
    case 'time-over': {
      const after = `after ${(timeoutMs ?? 0) / 1000} s`;
      return missing === undefined ? `ended ${after}` : `${missing}; ended ${after}`;
    }
    case 'output-broken':
      // A reader that has seen enough is nothing to talk about.
      return end.error.code === 'EPIPE' ? undefined : `cannot write to standard output: ${end.error.message}`;
    case 'signal':
      return `ended by ${end.signal}`;
    case 'vm-ended':
      if (end.exitCode !== undefined && end.exitCode !== 0) return `the guest's exit code is ${end.exitCode}`;
      return missing;
    case 'text-seen':
      return undefined;
    case 'escape-key':
      return missing;
  }
}
