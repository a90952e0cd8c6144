/**
 * QueueWorker: takes the buffers of one queue, a bounded number at a time.
 *
 * Called by: a VirtioDevice: `kick` when it is notified, `done` when a buffer was given back that
 * `serve` kept.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * A driver on another vCPU can add buffers as fast as they are taken. So after a queue's size of
 * them the event loop turns, and other devices get their time.
 */

import { host } from '../../host/current.js';
import type { Virtqueue, VirtqueueBuffer } from './virtqueue.js';

export interface QueueWorkerOptions {
  readonly queue: Virtqueue;
  /**
   * Serves one buffer, now or later. Returns whether it keeps the buffer: false if it has given it
   * back.
   */
  readonly serve: (buffer: VirtqueueBuffer, queue: Virtqueue) => boolean;
  /** Buffers that `serve` may keep at a time. Default: the queue's size. */
  readonly limit?: number;
}

export class QueueWorker {
  readonly #queue: Virtqueue;
  readonly #serve: QueueWorkerOptions['serve'];
  readonly #limit: number;
  #kept = 0;
  #isStopped = false;
  #isTurning = false;

  constructor({ queue, serve, limit = queue.size }: QueueWorkerOptions) {
    this.#queue = queue;
    this.#serve = serve;
    this.#limit = limit;
  }

  /**
   * Call it when buffers may be available: `serve` gets them, inside this call or in later turns.
   */
  kick(): void {
    this.#queue.batch(this.#take);
  }

  readonly #take = (): void => {
    for (let taken = 0; !this.#isStopped && this.#kept < this.#limit; taken++) {
      if (taken === this.#queue.size) {
        this.#continueLater();
        return;
      }
      const buffer = this.#queue.pop();
      if (buffer === undefined) return;
      if (this.#serve(buffer, this.#queue)) this.#kept++;
    }
  };

  /** A buffer that `serve` kept was given back. */
  done(): void {
    if (this.#kept-- === this.#limit) this.kick();
  }

  /** Call it at a reset: no buffer is taken any more. */
  stop(): void {
    this.#isStopped = true;
  }

  #continueLater(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    void host.turn().then(() => {
      this.#isTurning = false;
      this.kick();
    });
  }
}
