/**
 * carryMappings: maps the memory of a VM into the process that waits in an ioctl, then lets the
 * ioctl return.
 *
 * Called by: notified-program.ts.
 *
 * The ioctl cannot be answered any more once its thread is stopped: its result is put into the
 * thread's registers.
 */

import { InjectionError, type InjectedCalls } from '../host/node/linux/injected-calls.js';
import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import { Errno } from '../io-request/errno.js';
import type { ForeignMapping } from './foreign-memory.js';

const PROT_READ_WRITE = 3;
const MAP_SHARED_FIXED = 0x11;

/**
 * Returns whether the call has its result: `value`, or −ENOMEM if the memory could not be mapped,
 * which is reported. False: a signal has interrupted the call, or its thread has ended.
 */
export function carryMappings(
  injected: InjectedCalls,
  notifications: Notifications,
  notification: Notification,
  { value, mappings }: { readonly value: number; readonly mappings: readonly ForeignMapping[] },
  report: (text: string) => void,
): boolean {
  const { thread } = notification;
  const descriptors = mappings.map(({ fd }) => notifications.give(notification, fd));
  if (!notifications.isWaiting(notification)) return false;
  try {
    injected.run(notification, (call) => {
      let result = value;
      mappings.forEach(({ address, bytes, offset }, i) => {
        const fd = descriptors[i] ?? -1;
        const at = call(SystemCall.mmap, address, bytes, PROT_READ_WRITE, MAP_SHARED_FIXED, fd, offset);
        if (at !== BigInt.asIntN(64, address)) {
          result = Errno.ENOMEM;
          report(`${bytes} bytes at 0x${address.toString(16)} of thread ${thread} cannot be mapped: errno ${-at}`);
        }
        call(SystemCall.close, fd);
      });
      return result;
    });
    return true;
  } catch (error) {
    if (!(error instanceof InjectionError)) throw error;
    // The thread may have ended, or handle a signal. Otherwise it still waits.
    if (!notifications.answer(notification, Errno.ENOMEM)) return false;
    report(`memory cannot be mapped into the program: ${error.message}. A debugger of it needs --shim`);
    return true;
  }
}
