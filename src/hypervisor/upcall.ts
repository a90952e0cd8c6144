/**
 * Upcall: the notification interrupt to the Service VM (vector 0xF3 in ACRN). One for a Service VM,
 * shared by all of its User VMs.
 *
 * Upcalls coalesce: a worker that is awake polls every slot before it parks, so it needs no
 * wake-up.
 *
 * Called by: vCPU threads, which raise it after a request, an asynchronous write or a VM event; the
 * HSM's worker, which waits for it.
 */

import { Doorbell } from '../sync/doorbell.js';
import type { Poll } from '../sync/poll.js';
import type { Waker } from '../sync/waker.js';

export class Upcall {
  readonly #doorbell: Doorbell;

  /** A new one, or a view of one from another thread. */
  constructor(buffer?: SharedArrayBuffer) {
    this.#doorbell = buffer === undefined ? new Doorbell() : new Doorbell(buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.#doorbell.buffer;
  }

  /**
   * The waker of this view's thread. A thread that raises wakes the worker by its own waker. While
   * the worker is parked, it leaves `thread` of its waker in the doorbell.
   */
  set waker(waker: Waker) {
    this.#doorbell.waker = waker;
  }

  /**
   * Step b of a request (ARCHITECTURE.md), after the slot is PENDING, or after an element is in a
   * ring. Returns false if the worker was awake: this upcall coalesced.
   */
  raise(): boolean {
    return this.#doorbell.ring();
  }

  /** Upcalls that found the worker parked, or about to park. */
  get delivered(): number {
    return this.#doorbell.rings;
  }

  /** In the Service VM's thread: parks until `poll` has work (true) or the time is over (false). */
  wait(poll: Poll, timeoutMs?: number): Promise<boolean> {
    return this.#doorbell.waitAsync(poll, timeoutMs);
  }
}
