/**
 * WaitingAttaches: the ATTACH_IOREQ_CLIENT calls of a program under a seccomp filter that wait. In
 * the driver each signal, and each stop by job control or a debugger, ends such a call with 0. Here
 * the system keeps the thread in the call, so this side has to notice that something woke the
 * thread, and then ends the call.
 *
 * Called by: program-ioctls.ts.
 */

import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { isUninterruptible } from '../host/node/linux/process-facts.js';
import type { AttachInterrupt } from './attach-interrupt.js';

/** The system does not report what wakes a thread of another process, so its state is polled. */
const POLL_MS = 5;

export class WaitingAttaches {
  readonly #notifications: Notifications;
  readonly #waiting = new Map<Notification, AttachInterrupt>();
  #timer: NodeJS.Timeout | undefined;

  constructor(notifications: Notifications) {
    this.#notifications = notifications;
  }

  /** `interrupt` is aborted when something wakes the thread, or the thread has died. */
  add(notification: Notification, interrupt: AttachInterrupt): void {
    this.#waiting.set(notification, interrupt);
    this.#timer ??= setInterval(() => this.#poll(), POLL_MS).unref();
  }

  delete(notification: Notification): void {
    this.#waiting.delete(notification);
  }

  #poll(): void {
    for (const [notification, interrupt] of this.#waiting)
      if (!this.#notifications.isWaiting(notification) || isUninterruptible(notification.thread)) interrupt.abort();
    // A busy program attaches again at once: the timer ends one period after its last ATTACH.
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
