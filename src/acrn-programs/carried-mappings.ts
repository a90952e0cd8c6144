/**
 * carryMappings: maps the memory of a VM into the process that waits in an ioctl, then lets the
 * ioctl return.
 *
 * Called by: notified-program.ts.
 * Callers must: have blocked the thread's signals (InjectedCalls.protect). A call that begins anew
 * would leave descriptors behind in the process.
 *
 * The ioctl cannot be answered any more once its thread is stopped: its result is put into the
 * thread's registers.
 */

import { copyDescriptor } from '../host/node/linux/descriptors.js';
import { InjectionError, type Call, type InjectedCalls } from '../host/node/linux/injected-calls.js';
import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { processOf } from '../host/node/linux/process-facts.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import { USERFAULTFD_FLAGS } from '../host/node/linux/written-pages.js';
import { Errno } from '../io-request/errno.js';
import { errorText } from '../io-request/error-text.js';
import type { ForeignMapping, ForeignMemory } from './foreign-memory.js';

const PROT_READ_WRITE = 3;
const MAP_SHARED_FIXED = 0x11;

export interface CarryOptions {
  readonly injected: InjectedCalls;
  readonly notifications: Notifications;
  /** Whether the hypervisor keeps translations of what programs write (WrittenMemory). */
  readonly tracksWrites: boolean;
  /** What is worth a line to the operator. */
  readonly report: (text: string) => void;
}

export interface CarriedCall {
  readonly value: number;
  readonly mappings: readonly ForeignMapping[];
  /** As in InjectedCalls.run. */
  readonly mask: bigint;
}

export const DEBUGGER_HINT = 'a debugger of it needs --shim';

/**
 * Returns whether the call has its result: `value`, or −ENOMEM if the memory could not be mapped,
 * which is reported. False: the thread has ended, or is about to make the call anew, because job
 * control has stopped it or it could not be made to execute all calls.
 */
export function carryMappings(
  { injected, notifications, tracksWrites, report }: CarryOptions,
  memory: ForeignMemory,
  notification: Notification,
  { value, mappings, mask }: CarriedCall,
): boolean {
  const { thread } = notification;
  const process = processOf(thread) ?? thread;
  const descriptors = mappings.map(({ fd }) => notifications.give(notification, fd));
  if (!notifications.isWaiting(notification)) return false;
  try {
    injected.run(
      notification,
      (call) => {
        let result = value;
        const failed = (what: string): void => {
          result = Errno.ENOMEM;
          report(`process ${process}: ${what}`);
        };
        if (tracksWrites && mappings.some(({ written }) => written !== undefined)) {
          const error = track(call, memory, process);
          if (error !== undefined) failed(`its stores cannot be noticed: ${error}. Use --no-translate`);
        }
        mappings.forEach((mapping, i) => {
          const { address, bytes, offset } = mapping;
          const fd = descriptors[i] ?? -1;
          const at = call(SystemCall.mmap, address, bytes, PROT_READ_WRITE, MAP_SHARED_FIXED, fd, offset);
          call(SystemCall.close, fd);
          if (at !== BigInt.asIntN(64, address))
            failed(`${bytes} bytes cannot be mapped at 0x${address.toString(16)}: errno ${-at}`);
          else memory.mapped(process, mapping);
        });
        return result;
      },
      mask,
    );
    return true;
  } catch (error) {
    if (!(error instanceof InjectionError)) throw error;
    // It still waits only if it could not be traced (InjectedCalls.run). Otherwise it has ended, or
    // makes its call anew, and this answer comes too late.
    if (!notifications.answer(notification, Errno.ENOMEM)) return false;
    report(`memory cannot be mapped into process ${process}: ${error.message}; ${DEBUGGER_HINT}`);
    return true;
  }
}

/** From now on stores of the process are noticed. Returns why not, or undefined. */
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
