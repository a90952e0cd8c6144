/**
 * ProgramIoctls: makes the ioctls of a program under a seccomp filter, and answers them.
 *
 * Called by: notified-program.ts. interruptible-ioctls.ts and interruptible-attaches.ts use its
 * functions.
 *
 * A call that was received here waits for its answer, whatever signal its thread gets meanwhile: so
 * each call is made once, and its result arrives unless the program has died. As in the driver,
 * ATTACH_IOREQ_CLIENT is the exception that a signal ends, with 0. Where the system lets signals
 * interrupt all calls, interruptible-ioctls.ts does the same work.
 *
 * A signal that comes before a call is received interrupts it, and it was not made.
 */

import { ExtensionIoctl, Ioctl } from '../acrn-hsm/ioctl-codes.js';
import type { InterruptSignal } from '../acrn-hsm/userspace-client.js';
import { isLinuxAtLeast } from '../host/node/linux/kernel-version.js';
import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { awaitSleep } from '../host/node/linux/process-facts.js';
import { AttachInterrupt } from './attach-interrupt.js';
import { carryMappings, type CarryOptions } from './carried-mappings.js';
import { foreignIoctl } from './foreign-ioctl.js';
import type { ForeignMapping } from './foreign-memory.js';
import type { OpenFile } from './open-files.js';
import { WaitingAttaches } from './waiting-attaches.js';

const LOW_WORD = 0xffff_ffffn;
/** The ioctls that map memory of the VM into the program. */
const MAPPING_IOCTLS: readonly number[] = [
  Ioctl.CREATE_VM,
  Ioctl.SET_MEMSEG,
  ExtensionIoctl.SETUP_ASYNCIO,
  ExtensionIoctl.SETUP_VM_EVENT_RING,
];

/**
 * The first Linux in which each answer arrives. Older ones lose it if a signal has woken the thread
 * and it has no processor yet.
 */
const ANSWERS_ARRIVE = [6, 18] as const;

/** How the ioctls of a program are made. */
export interface IoctlCalls {
  /** Makes an ioctl of an open file, and answers it now or later. */
  make(notification: Notification, file: OpenFile): void;
  /** Answers an ioctl of a descriptor that is not the device's: the system executes it. */
  makeOther(notification: Notification): void;
}

export class ProgramIoctls implements IoctlCalls {
  readonly #options: CarryOptions;
  readonly #notifications: Notifications;
  readonly #attaches: WaitingAttaches;
  readonly #losesAnswers: boolean;

  /** `losesAnswers`: as kernels before ANSWERS_ARRIVE. */
  constructor(options: CarryOptions, losesAnswers = !isLinuxAtLeast(ANSWERS_ARRIVE)) {
    this.#options = options;
    this.#losesAnswers = losesAnswers;
    this.#notifications = options.notifications;
    this.#attaches = new WaitingAttaches(options.notifications);
  }

  make(notification: Notification, file: OpenFile): void {
    const attach = codeOf(notification) === Ioctl.ATTACH_IOREQ_CLIENT ? new AttachInterrupt() : undefined;
    const result = callOf(notification, file, attach);
    if (typeof result === 'number') {
      this.#finish(notification, file, result);
      return;
    }
    if (attach !== undefined) this.#attaches.add(notification, attach);
    void result.then((value) => {
      this.#attaches.delete(notification);
      this.#finish(notification, file, value);
    });
  }

  makeOther(notification: Notification): void {
    this.#notifications.continue(notification);
  }

  #finish(notification: Notification, file: OpenFile, value: number): void {
    const mappings = mappingsOf(notification, file, value);
    if (mappings.length > 0) {
      carryMappings(this.#options, file.memory, notification, { value, mappings });
      return;
    }
    // On such a kernel, only a thread that sleeps in the call gets its answer.
    if (this.#losesAnswers) awaitSleep(notification.thread);
    this.#notifications.answer(notification, value);
  }
}

/** What this call, whose result is `value`, has to map into the program before it returns. */
export function mappingsOf(notification: Notification, { memory }: OpenFile, value: number): readonly ForeignMapping[] {
  const mappings = MAPPING_IOCTLS.includes(codeOf(notification)) ? memory.takeMappings() : [];
  return value < 0 ? [] : mappings;
}

/** Makes the call: returns what foreignIoctl returns. */
export function callOf(
  notification: Notification,
  file: OpenFile,
  interrupt?: InterruptSignal,
): number | Promise<number> {
  const { thread, args } = notification;
  return foreignIoctl(file, { thread, code: codeOf(notification), argument: args[2] ?? 0n }, interrupt);
}

/** The code of an ioctl. */
export function codeOf({ args }: Notification): number {
  return Number((args[1] ?? 0n) & LOW_WORD);
}
