/**
 * PortInput: the bytes of the host for one port. They go into the driver's buffers. What finds no
 * room stays with the host.
 *
 * Called by: ConsolePort. Source: virtio 1.2, section 5.3.6.
 */

import { host } from '../../../host/current.js';
import type { Virtqueue } from '../virtqueue.js';
import type { ConsoleCounters } from './console-counters.js';

export interface PortInputOptions {
  readonly queue: Virtqueue;
  /** There is room again, after a `receive` that was not complete. */
  readonly room: () => void;
  readonly counters: ConsoleCounters;
}

export class PortInput {
  readonly #queue: Virtqueue;
  readonly #room: () => void;
  readonly #counters: ConsoleCounters;
  #isAwaited = false;
  #isTurning = false;
  #isStopped = false;

  constructor({ queue, room, counters }: PortInputOptions) {
    this.#queue = queue;
    this.#room = room;
    this.#counters = counters;
  }

  /** Whether the host waits for room. */
  get isAwaited(): boolean {
    return this.#isAwaited;
  }

  /** Returns how many bytes the driver got. */
  receive(bytes: Uint8Array): number {
    let given = 0;
    this.#queue.batch(() => (given = this.#fill(bytes)));
    this.#counters.inputBytes += given;
    this.#isAwaited = given < bytes.length;
    return given;
  }

  /** The driver has added buffers. */
  kick(): void {
    if (!this.#isAwaited || this.#isTurning) return;
    this.#isAwaited = false;
    this.#room();
  }

  /** At a reset. */
  stop(): void {
    this.#isStopped = true;
  }

  #fill(bytes: Uint8Array): number {
    let given = 0;
    for (let taken = 0; given < bytes.length; taken++) {
      // A hostile driver may add useless buffers as fast as they are taken.
      if (taken === this.#queue.size) {
        this.#continueLater();
        break;
      }
      const buffer = this.#queue.pop();
      if (buffer === undefined) break;
      if (buffer.writableBytes === 0) this.#counters.malformedBuffers++;
      const written = buffer.write(0, bytes.subarray(given));
      given += written;
      this.#queue.push(buffer, written);
    }
    return given;
  }

  #continueLater(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    void host.turn().then(() => {
      this.#isTurning = false;
      if (!this.#isStopped) this.kick();
    });
  }
}
