/**
 * InterruptibleAttaches: the ATTACH_IOREQ_CLIENT calls of a program under a seccomp filter, where
 * the system lets a signal interrupt a call that waits. They end with 0 then, as in the driver: the
 * signal's handler may have changed what the program waits for.
 *
 * Called by: interruptible-ioctls.ts.
 *
 * This side notices an interruption only by the thread's next call: one that the handler makes, or
 * the same ATTACH made again.
 */

import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { AttachInterrupt } from './attach-interrupt.js';
import type { OpenFile } from './open-files.js';
import { callOf } from './program-ioctls.js';

/**
 * Calls that are kept of one thread: the one that waits, and those that nested signal handlers have
 * interrupted. The oldest is forgotten.
 */
const MAX_NESTED_CALLS = 8;

/** The calls of one file. */
interface FileCalls {
  /** By thread, the newest last. */
  readonly waiting: Map<number, AttachInterrupt[]>;
  /** Threads whose last ATTACH was interrupted and has not been made again. */
  readonly interrupted: Set<number>;
}

export class InterruptibleAttaches {
  readonly #notifications: Notifications;
  /** A file's entry is collected with the file, and with it the calls of threads that have died. */
  readonly #calls = new WeakMap<OpenFile, FileCalls>();

  constructor(notifications: Notifications) {
    this.#notifications = notifications;
  }

  make(notification: Notification, file: OpenFile): void {
    const { thread } = notification;
    this.interrupt(thread, file);
    const { waiting, interrupted } = this.#of(file);
    const call = new AttachInterrupt();
    // The call is the one that was interrupted, made again: it returns 0 at once.
    if (interrupted.delete(thread)) call.abort();
    const result = callOf(notification, file, call);
    if (typeof result === 'number') {
      this.#notifications.answer(notification, result);
      return;
    }
    waiting.set(thread, [...(waiting.get(thread) ?? []).slice(1 - MAX_NESTED_CALLS), call]);
    void result.then((value) => {
      // If the thread was interrupted, the answer is too late and does nothing.
      this.#notifications.answer(notification, value);
      const left = waiting.get(thread)?.filter((one) => one !== call) ?? [];
      if (left.length > 0) waiting.set(thread, left);
      else waiting.delete(thread);
    });
  }

  /** A thread that makes a call has left its ATTACH for a signal handler, or forever. */
  interrupt(thread: number, file: OpenFile): void {
    const { waiting, interrupted } = this.#of(file);
    for (const call of waiting.get(thread) ?? []) {
      if (call.aborted) continue;
      interrupted.add(thread);
      call.abort();
    }
  }

  #of(file: OpenFile): FileCalls {
    let calls = this.#calls.get(file);
    if (calls === undefined) this.#calls.set(file, (calls = { waiting: new Map(), interrupted: new Set() }));
    return calls;
  }
}
