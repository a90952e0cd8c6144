/**
 * InterruptibleIoctls: makes the ioctls of a program under a seccomp filter on systems where any
 * signal interrupts a call that waits for its answer (Listener.isInterruptible), Linux before 5.19.
 *
 * Called by: notified-program.ts.
 *
 * A signal interrupts none of the driver's ioctls except ATTACH, which it ends with 0. Here the
 * system runs the signal's handler, which may make calls of its own, and then makes the call again
 * or lets it fail with EINTR, as the handler was installed (sigaction(2)). So:
 *
 * - An ATTACH that is made again gets 0.
 * - The thread's signals are blocked during every other ioctl (InterruptedCalls.protect). For this
 *   the call is made again, and its ioctl is made then.
 * - Stopping a thread takes longer than a frequent ioctl, so FREQUENT_IOCTLS are made at once. One
 *   that was interrupted meanwhile gets its result nevertheless (InterruptedCalls.finish). If the
 *   program has seen EINTR by then, it gets the result if it makes the same call next. An ioctl is
 *   made twice if the signal comes in the microseconds between the check of the thread and the
 *   answer, or if what an earlier handler has left on the stack is taken for the interrupted call.
 */

import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { InjectionError } from '../host/node/linux/injected-calls.js';
import { InterruptedCalls } from '../host/node/linux/interrupted-calls.js';
import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { threadFacts, threadSyscall } from '../host/node/linux/process-facts.js';
import { Errno } from '../io-request/errno.js';
import { carryMappings, DEBUGGER_HINT, type CarryOptions } from './carried-mappings.js';
import { InterruptibleAttaches } from './interruptible-attaches.js';
import type { ForeignMapping } from './foreign-memory.js';
import type { OpenFile } from './open-files.js';
import { callOf, codeOf, mappingsOf, type IoctlCalls } from './program-ioctls.js';

/** They are made at once. All others may wait, or map memory of the VM into the program. */
const FREQUENT_IOCTLS: readonly number[] = [Ioctl.NOTIFY_REQUEST_FINISH, Ioctl.SET_IRQLINE, Ioctl.INJECT_MSI];

/** At this number of threads in a map, dead ones are removed from it. */
const MAX_THREADS = 64;

/** An ioctl of a thread whose signals are blocked meanwhile. */
interface ProtectedCall {
  readonly file: OpenFile;
  /** The latest: after a stop by job control, too, the call is made again. */
  notification: Notification;
  /**
   * The signals that were blocked before, to be restored with the result: bit N−1 for signal N.
   * Undefined if the thread cannot be stopped, so that none were blocked.
   */
  readonly mask: bigint | undefined;
  isMade: boolean;
  result: { readonly value: number; readonly mappings: readonly ForeignMapping[] } | undefined;
}

/** The result of a call that was made, and that a signal made fail with EINTR for the program. */
interface LateResult {
  readonly notification: Notification;
  readonly file: OpenFile;
  readonly value: number;
}

export class InterruptibleIoctls implements IoctlCalls {
  readonly #options: CarryOptions;
  readonly #notifications: Notifications;
  readonly #interrupted = new InterruptedCalls();
  /** By thread. */
  readonly #protected = new Map<number, ProtectedCall>();
  /** By thread. */
  readonly #late = new Map<number, LateResult>();
  readonly #attaches: InterruptibleAttaches;

  constructor(options: CarryOptions) {
    this.#options = options;
    this.#notifications = options.notifications;
    this.#attaches = new InterruptibleAttaches(options.notifications);
  }

  make(notification: Notification, file: OpenFile): void {
    const { thread } = notification;
    const late = this.#late.get(thread);
    if (late !== undefined) {
      if (late.file === file && isSameCall(late.notification, notification)) {
        this.#answer(notification, file, late.value);
        return;
      }
      this.#late.delete(thread);
    }
    if (codeOf(notification) === Ioctl.ATTACH_IOREQ_CLIENT) {
      this.#attaches.make(notification, file);
      return;
    }
    const known = this.#protected.get(thread);
    if (known?.file === file && isSameCall(known.notification, notification)) {
      known.notification = notification;
      if (known.isMade) this.#deliver(known);
      else this.#make(known);
      return;
    }
    this.#attaches.interrupt(thread, file);
    // A call that was interrupted before its ioctl was made is notified again: make it only then.
    if (!this.#notifications.isWaiting(notification)) return;
    if (FREQUENT_IOCTLS.includes(codeOf(notification))) {
      const result = callOf(notification, file);
      // These do not wait.
      if (typeof result === 'number') this.#answer(notification, file, result);
      return;
    }
    const mask = this.#protect(notification);
    const call: ProtectedCall = { file, notification, mask, isMade: false, result: undefined };
    if (mask !== undefined) this.#keep(call);
    // Where no thread can be stopped, a signal may make the call fail with EINTR.
    else if (this.#notifications.isWaiting(notification)) this.#make(call);
  }

  /** The descriptor may have been closed since the thread's signals were blocked. */
  makeOther(notification: Notification): void {
    const known = this.#protected.get(notification.thread);
    if (known === undefined || known.isMade) this.#notifications.continue(notification);
    else this.#deliver({ ...known, notification, result: { value: Errno.EBADF, mappings: [] } });
  }

  /** Undefined if the thread cannot be stopped, or has left the call. */
  #protect(notification: Notification): bigint | undefined {
    try {
      return this.#interrupted.protect(notification);
    } catch (error) {
      if (error instanceof InjectionError) return undefined;
      throw error;
    }
  }

  #keep(call: ProtectedCall): void {
    forgetDead(this.#protected);
    this.#protected.set(call.notification.thread, call);
  }

  #make(call: ProtectedCall): void {
    call.isMade = true;
    const { file, notification } = call;
    const finish = (value: number): void => {
      call.result = { value, mappings: mappingsOf(notification, file, value) };
      this.#deliver(call);
    };
    const result = callOf(notification, file);
    if (typeof result === 'number') finish(result);
    else void result.then(finish);
  }

  /** Returns the result to the program, if there is one. */
  #deliver({ file, notification, result, mask }: ProtectedCall): void {
    if (result === undefined) return;
    const { report } = this.#options;
    if (mask === undefined) {
      // No thread can be stopped, so nothing can be mapped.
      if (result.mappings.length > 0)
        report(`memory cannot be mapped into process ${notification.thread}: ${DEBUGGER_HINT}`, notification.thread);
      this.#answer(notification, file, result.mappings.length > 0 ? Errno.ENOMEM : result.value);
      return;
    }
    const { thread } = notification;
    if (
      carryMappings(this.#options, file.memory, notification, { ...result, mask }) ||
      threadFacts(thread) === undefined
    )
      this.#protected.delete(thread);
  }

  /** A signal may have interrupted the call. */
  #answer(notification: Notification, file: OpenFile, value: number): void {
    const { thread } = notification;
    this.#late.delete(thread);
    // A thread that was woken by a signal loses an answer that comes before it has a processor.
    if (threadSyscall(thread) !== 'running' && this.#notifications.answer(notification, value)) return;
    if (this.#interrupted.finish(notification, value) || this.#notifications.answer(notification, value)) return;
    forgetDead(this.#late);
    this.#late.set(thread, { notification, file, value });
  }
}

/**
 * Whether both are one ioctl: same instruction and same three arguments. The registers of the other
 * three arguments are arbitrary.
 */
function isSameCall(one: Notification, other: Notification): boolean {
  return one.instruction === other.instruction && one.args.every((value, i) => i > 2 || value === other.args[i]);
}

/** Removes dead threads from a map that has become large. */
function forgetDead(threads: Map<number, unknown>): void {
  if (threads.size < MAX_THREADS) return;
  for (const thread of threads.keys()) if (threadFacts(thread) === undefined) threads.delete(thread);
}
