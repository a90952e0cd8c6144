/**
 * injectCalls: makes a thread that waits in a notified call (notifications.ts) execute other
 * calls, which can map memory of this process, before the notified call returns.
 *
 * Called by: acrn-programs/carried-mappings.ts, and the self-test in acrn-programs/support.ts.
 * interrupted-calls.ts uses `isAtCall`.
 * Callers must: be allowed to trace the process, as TracedThread.
 *
 * Sources: ptrace(2), the calling convention of x86-64.
 */

import type { Notification, Notifications } from './notifications.js';
import { ARGUMENTS, INSTRUCTION_BYTES, InjectionError, Register, TracedThread, type Call } from './traced-thread.js';

export { InjectionError, type Call } from './traced-thread.js';

/** −ERESTARTSYS: the call was interrupted, and is made anew unless the registers change. */
export const RESTART = BigInt.asUintN(64, -512n);

export interface InjectionOptions {
  /** Those of the filter that has notified of the waiting call. */
  readonly notifications: Notifications;
  /** What the call returns if it cannot return what `work` returns. −errno. */
  readonly failure: number;
  /** The signals that are blocked from then on, bit N−1 for signal N. Default: as before. */
  readonly mask?: bigint | undefined;
}

/**
 * Stops the thread, runs `work` with a function that makes the thread execute calls, and lets the
 * notified call return what `work` returns. A call's result is −errno if it failed. No signal is
 * handled between the calls.
 *
 * Returns false if the thread has left the call. Throws InjectionError, and what `work` throws. If
 * the thread could not be traced, it still waits. If it was stopped, its call returns `failure`.
 * Calls that it has executed are not undone.
 */
export function injectCalls(
  notification: Notification,
  { notifications, failure, mask }: InjectionOptions,
  work: (call: (...call: Call) => bigint) => number,
): boolean {
  // A thread that waits in a call stops when it leaves it. One whose wait was interrupted takes no
  // answer.
  const thread = new TracedThread(notification.thread, () => notifications.answer(notification, failure));
  try {
    const { registers } = thread;
    const result = registers[Register.RAX];
    const isAnswered = result === BigInt.asUintN(64, BigInt(failure)) || result === RESTART;
    if (!isAnswered || !isAtCall(registers, notification)) return false;
    const at = notification.instruction - INSTRUCTION_BYTES;
    if (!thread.isSyscall(at)) throw new InjectionError(`thread ${thread.thread} is in no call that is known`);
    const before = thread.blockSignals();
    let value = failure;
    let after = before;
    try {
      value = work((...call) => thread.execute(at, call));
      after = mask ?? before;
    } finally {
      // Also after an error: the thread has the registers of a call that it was made to execute.
      thread.returnFromCall(value);
      thread.restoreSignals(after);
    }
    return true;
  } finally {
    thread.detach();
  }
}

/** Whether the thread is at the end of the call, with its arguments. */
export function isAtCall(registers: BigUint64Array, { call, instruction, args }: Notification): boolean {
  return (
    registers[Register.ORIG_RAX] === BigInt(call) &&
    registers[Register.RIP] === instruction &&
    ARGUMENTS.every((register, i) => registers[register] === args[i])
  );
}
