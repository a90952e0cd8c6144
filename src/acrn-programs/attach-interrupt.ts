/**
 * AttachInterrupt: ends one ATTACH_IOREQ_CLIENT of a program that waits, with 0. It is what ATTACH
 * uses of an AbortSignal, for one listener. A program attaches once for each request, and an
 * AbortController takes a twentieth of this thread's processor time for it.
 *
 * Called by: program-ioctls.ts, waiting-attaches.ts, interruptible-attaches.ts and
 * shim-connection.ts.
 */

import type { InterruptSignal } from '../acrn-hsm/userspace-client.js';

export class AttachInterrupt implements InterruptSignal {
  #isAborted = false;
  #listener: (() => void) | undefined;

  get aborted(): boolean {
    return this.#isAborted;
  }

  /** Calls the listener the first time. */
  abort(): void {
    this.#isAborted = true;
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.();
  }

  /** Replaces the listener before it. */
  addEventListener(_: 'abort', listener: () => void): void {
    this.#listener = listener;
  }

  removeEventListener(_: 'abort', listener: () => void): void {
    if (this.#listener === listener) this.#listener = undefined;
  }
}
