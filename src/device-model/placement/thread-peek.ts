/**
 * ThreadPeek: a look at a device in another thread, for people: it is asked for by a bit in the device's mailbox, which its
 * thread sees between two accesses, and answered by a message. A thread that computes or blocks does not answer; nobody
 * waits for it longer than PEEK_MS, and there is never more than one question on its way.
 */

import { startBackgroundTimer } from '../../sync/background-timer.js';
import type { RegisterValues } from '../register-peek.js';

/** How long a device's thread may take to answer a look. */
export const PEEK_MS = 250;

export class ThreadPeek {
  readonly #ask: () => void;
  readonly #limitMs: number;
  /** A question that has had no answer yet, perhaps one that nobody waits for any more. */
  #isAsked = false;
  #waiting: Promise<RegisterValues | undefined> | undefined;
  #settle: (values: RegisterValues | undefined) => void = () => undefined;

  constructor(ask: () => void, limitMs = PEEK_MS) {
    this.#ask = ask;
    this.#limitMs = limitMs;
  }

  /** Resolves with undefined when the time is over. Who asks while somebody waits gets the same answer. */
  values(): Promise<RegisterValues | undefined> {
    this.#waiting ??= new Promise((resolve) => {
      const timer = startBackgroundTimer(() => this.#settle(undefined), this.#limitMs);
      this.#settle = (values) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        resolve(values);
      };
      if (!this.#isAsked) this.#ask();
      this.#isAsked = true;
    });
    return this.#waiting;
  }

  /** The device's thread has answered; or, with undefined, it has ended. */
  answer(values: RegisterValues | undefined): void {
    this.#isAsked = false;
    if (this.#waiting !== undefined) this.#settle(values);
  }
}
