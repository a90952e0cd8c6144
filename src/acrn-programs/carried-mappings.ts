/**
 * carryMappings: maps the memory of a VM into the process that waits in an ioctl, then lets the
 * ioctl return. The waiting thread executes mmap(2) itself, which ptrace(2) makes it do
 * (host/node/linux/injected-calls.ts).
 *
 * Called by: program-ioctls.ts and interruptible-ioctls.ts.
 * Callers must: have made sure that no signal interrupts the call. A call that is interrupted and
 * made again would leave descriptors behind in the process.
 */

import { copyDescriptor } from '../host/node/linux/descriptors.js';
import { injectCalls, InjectionError, type Call } from '../host/node/linux/injected-calls.js';
import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { processOf, threadFacts } from '../host/node/linux/process-facts.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import { USERFAULTFD_FLAGS } from '../host/node/linux/written-pages.js';
import { Errno } from '../io-request/errno.js';
import { errorText } from '../io-request/error-text.js';
import type { ForeignMapping, ForeignMemory } from './foreign-memory.js';

const PROT_READ_WRITE = 3;
const MAP_SHARED_FIXED = 0x11;

/**
 * Reports what is worth a line to the operator, and to the user of the process that it concerns.
 */
export type Report = (text: string, process?: number) => void;

export interface CarryOptions {
  readonly notifications: Notifications;
  /** Whether the hypervisor keeps translations of what programs write (WrittenMemory). */
  readonly tracksWrites: boolean;
  readonly report: Report;
}

export interface CarriedCall {
  /** The ioctl's result, 0 or more. */
  readonly value: number;
  readonly mappings: readonly ForeignMapping[];
  /** The signals that the thread blocks afterwards: bit N−1 for signal N. Default: as before. */
  readonly mask?: bigint;
}

/** For messages: a thread that a debugger traces cannot be traced from here. */
export const DEBUGGER_HINT = 'to run it under a debugger, use --shim';

/**
 * Returns true if the call has its result: `value`, or −ENOMEM if the memory could not be mapped,
 * which is reported. Returns false if the thread has ended, or has left the call.
 */
export function carryMappings(
  { notifications, tracksWrites, report }: CarryOptions,
  memory: ForeignMemory,
  notification: Notification,
  { value, mappings, mask }: CarriedCall,
): boolean {
  const { thread } = notification;
  const process = processOf(thread) ?? thread;
  // The numbers of the copies in the process, which closes them once they are mapped.
  const descriptors = mappings.map(({ fd }) => notifications.give(notification, fd));
  if (!notifications.isWaiting(notification)) return false;
  try {
    return injectCalls(notification, { notifications, failure: Errno.ENOMEM, mask }, (call) => {
      let result = value;
      const failed = (what: string): void => {
        result = Errno.ENOMEM;
        report(`process ${process}: ${what}`, process);
      };
      if (tracksWrites && mappings.some(({ written }) => written !== undefined)) {
        const error = track(call, memory, process);
        if (error !== undefined) failed(unnoticed(error));
      }
      mappings.forEach((mapping, i) => {
        const { address, bytes, offset } = mapping;
        const fd = descriptors[i] ?? -1;
        const at = call(SystemCall.mmap, address, bytes, PROT_READ_WRITE, MAP_SHARED_FIXED, fd, offset);
        call(SystemCall.close, fd);
        if (at !== BigInt.asIntN(64, address))
          failed(`${bytes} bytes cannot be mapped at 0x${address.toString(16)}: errno ${-at}`);
        else {
          try {
            memory.mapped(process, mapping);
          } catch (error) {
            // Another thread of the process may have removed the mapping again.
            failed(unnoticed(errorText(error).message));
          }
        }
      });
      return result;
    });
  } catch (error) {
    if (!(error instanceof InjectionError)) throw error;
    // It still waits if it could not be traced.
    notifications.answer(notification, Errno.ENOMEM);
    if (threadFacts(thread)?.hasEnded !== false) return false;
    report(`memory cannot be mapped into process ${process}: ${error.message}; ${DEBUGGER_HINT}`, process);
    return true;
  }
}

function unnoticed(error: string): string {
  return `its stores cannot be noticed: ${error}. Use --no-translate`;
}

/** From now on, stores of the process are noticed. Returns an error text, or undefined. */
function track(call: (...call: Call) => bigint, memory: ForeignMemory, process: number): string | undefined {
  if (memory.isTracking(process)) return undefined;
  const fd = Number(call(SystemCall.userfaultfd, USERFAULTFD_FLAGS));
  if (fd < 0) return `userfaultfd(2) failed with errno ${-fd}`;
  const copy = copyDescriptor(process, fd);
  call(SystemCall.close, fd);
  if (copy < 0) return `pidfd_getfd(2) failed with errno ${-copy}`;
  try {
    memory.track(process, copy);
    return undefined;
  } catch (error) {
    return errorText(error).message;
  }
}
