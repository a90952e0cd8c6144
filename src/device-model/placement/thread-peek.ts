/**
 * ThreadPeek: the register values of a device in another thread, for an operator. A bit in the
 * device's mailbox asks for them (MailboxControl.PEEK), which the thread takes between two
 * accesses. The thread answers with a message.
 *
 * Called by: ThreadClient (in-own-thread.ts), in the Service VM's thread.
 *
 * A thread that computes or blocks does not answer. A caller waits at most PEEK_MS, and there is
 * never more than one open request to the thread.
 */

import { startFairTimeout } from '../../sync/fair-timeout.js';
import type { RegisterValues } from '../register-peek.js';

/** Limit for the thread's answer. */
export const PEEK_MS = 250;

export class ThreadPeek {
  readonly #request: () => void;
  readonly #limitMs: number;
  /** A request is open: the thread has not answered it, even if no caller waits any more. */
  #isRequested = false;
  #waiting: Promise<RegisterValues | undefined> | undefined;
  /** Without effect if no caller waits. */
  #settle: (values: RegisterValues | undefined) => void = () => undefined;

  /** `request`: asks the thread for its registers. */
  constructor(request: () => void, limitMs = PEEK_MS) {
    this.#request = request;
    this.#limitMs = limitMs;
  }

  /** Resolves with undefined after the time limit. Concurrent callers get the same answer. */
  values(): Promise<RegisterValues | undefined> {
    this.#waiting ??= new Promise((resolve) => {
      const timeout = startFairTimeout(() => this.#settle(undefined), this.#limitMs);
      this.#settle = (values) => {
        timeout.stop();
        this.#waiting = undefined;
        resolve(values);
      };
      if (!this.#isRequested) this.#request();
      this.#isRequested = true;
    });
    return this.#waiting;
  }

  /** The device's thread has answered or, with undefined, has ended. */
  answer(values: RegisterValues | undefined): void {
    this.#isRequested = false;
    this.#settle(values);
  }
}
