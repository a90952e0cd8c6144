/**
 * PortOutput: the bytes of the guest for one port. A buffer stays the driver's until the host has
 * taken all of its bytes, so they wait in the guest's memory and not here.
 *
 * Called by: ConsolePort. Source: virtio 1.2, section 5.3.6.
 *
 * A buffer may have as many bytes as a thousand times the RAM. So after TURN_BYTES the event loop
 * turns.
 */

import { host } from '../../../host/current.js';
import { QueueWorker } from '../queue-worker.js';
import type { Virtqueue, VirtqueueBuffer } from '../virtqueue.js';
import type { ConsoleCounters } from './console-counters.js';

/** Bytes that are copied and given to the host at a time. */
export const PIECE_BYTES = 4096;
/** Bytes of one port between two turns of the event loop. */
export const TURN_BYTES = 256 * 1024;

export interface PortOutputOptions {
  readonly queue: Virtqueue;
  /** Takes bytes. Returns how many. If not all, `resume` follows. */
  readonly write: (bytes: Uint8Array) => number;
  readonly counters: ConsoleCounters;
}

export class PortOutput {
  readonly #queue: Virtqueue;
  readonly #write: PortOutputOptions['write'];
  readonly #counters: ConsoleCounters;
  readonly #worker: QueueWorker;
  readonly #piece = new Uint8Array(PIECE_BYTES);
  /** The buffer whose bytes the host does not take yet, and how many it has taken. */
  #kept: VirtqueueBuffer | undefined;
  #offset = 0;
  /** Bytes until the event loop turns. */
  #budget = 0;
  /** Whether `write` runs: the host may call `resume` inside it. */
  #isWriting = false;
  #isResumed = false;
  #isTurning = false;
  #isStopped = false;

  constructor({ queue, write, counters }: PortOutputOptions) {
    this.#queue = queue;
    this.#write = write;
    this.#counters = counters;
    this.#worker = new QueueWorker({ queue, limit: 1, serve: (buffer) => this.#serve(buffer) });
  }

  /** Buffers may be available. */
  kick(): void {
    if (this.#isTurning) return;
    this.#budget = TURN_BYTES;
    this.#worker.kick();
  }

  /** The host takes bytes again. */
  resume(): void {
    this.#isResumed = true;
    if (this.#kept === undefined || this.#isWriting || this.#isTurning) return;
    this.#budget = TURN_BYTES;
    if (this.#advance(this.#kept)) this.#worker.done();
  }

  /** At a reset. */
  stop(): void {
    this.#isStopped = true;
    this.#kept = undefined;
    this.#worker.stop();
  }

  #serve(buffer: VirtqueueBuffer): boolean {
    if (buffer.readableBytes === 0) this.#counters.malformedBuffers++;
    this.#offset = 0;
    return !this.#advance(buffer);
  }

  /** Gives the buffer's next bytes to the host. Returns whether the driver has the buffer back. */
  #advance(buffer: VirtqueueBuffer): boolean {
    this.#kept = buffer;
    while (this.#offset < buffer.readableBytes) {
      if (this.#budget <= 0) {
        this.#continueLater();
        return false;
      }
      const bytes = buffer.read(this.#offset, this.#piece);
      // The driver has forbidden the card to use its memory.
      if (bytes === 0) break;
      const taken = this.#give(this.#piece.subarray(0, bytes));
      if (this.#isStopped) return false;
      this.#offset += taken;
      this.#budget -= bytes;
      if (taken < bytes && !this.#isResumed) return false;
    }
    this.#kept = undefined;
    this.#queue.push(buffer, 0);
    return true;
  }

  #give(bytes: Uint8Array): number {
    this.#isResumed = false;
    this.#isWriting = true;
    try {
      return this.#write(bytes);
    } finally {
      this.#isWriting = false;
    }
  }

  #continueLater(): void {
    this.#isTurning = true;
    void host.turn().then(() => {
      this.#isTurning = false;
      this.resume();
    });
  }
}
