/**
 * ControlQueue: the device's messages for the driver. They wait until the driver has a buffer.
 *
 * Called by: VirtioConsole, for one driver. Source: virtio 1.2, section 5.3.6.2.
 *
 * Of each event of a port one message waits at most, and its contents are determined when it is
 * sent. So their number is bounded, whatever the driver asks for and however often a port changes.
 */

import { host } from '../../../host/current.js';
import type { Virtqueue } from '../virtqueue.js';
import type { ConsoleCounters } from './console-counters.js';
import { ControlEvent, ControlMessage } from './console-layout.js';

/** What follows the port and the event. */
export interface ControlContents {
  readonly value: number;
  /** Behind the message. Default: nothing. */
  readonly more?: Uint8Array;
}

export interface ControlQueueOptions {
  /** Undefined: the driver has not enabled it, and gets no messages. */
  readonly queue: Virtqueue | undefined;
  /** Called when the message is sent. */
  readonly contentsOf: (port: number, event: ControlEvent) => ControlContents;
  readonly counters: ConsoleCounters;
}

const EVENTS = Object.keys(ControlEvent).length;

export class ControlQueue {
  readonly #queue: Virtqueue | undefined;
  readonly #contentsOf: ControlQueueOptions['contentsOf'];
  readonly #counters: ConsoleCounters;
  /** Messages that wait, in their order: port * EVENTS + event. */
  readonly #due = new Set<number>();
  /** Ports that the driver was informed of, or will be. */
  readonly #known = new Set<number>();
  #isTurning = false;

  constructor({ queue, contentsOf, counters }: ControlQueueOptions) {
    this.#queue = queue;
    this.#contentsOf = contentsOf;
    this.#counters = counters;
  }

  /** Messages that wait for a buffer. */
  get waiting(): number {
    return this.#due.size;
  }

  /** Informs the driver of a port. */
  add(port: number): void {
    if (this.#queue === undefined) return;
    this.#known.add(port);
    this.send(port, ControlEvent.PORT_ADD);
  }

  /** Does nothing for a port that the driver was not informed of. */
  send(port: number, ...events: readonly ControlEvent[]): void {
    if (!this.#known.has(port)) return;
    for (const event of events) this.#due.add(port * EVENTS + event);
    this.kick();
  }

  /** Removes a port. The driver gets no message of one that it has not got yet. */
  remove(port: number): void {
    const hasPort = !this.#due.has(port * EVENTS + ControlEvent.PORT_ADD);
    for (const event of Object.values(ControlEvent)) this.#due.delete(port * EVENTS + event);
    if (hasPort) this.send(port, ControlEvent.PORT_REMOVE);
    this.#known.delete(port);
  }

  /** The driver may have added buffers. */
  kick(): void {
    if (this.#due.size > 0) this.#queue?.batch(this.#sendDue);
  }

  /** At a reset. */
  stop(): void {
    this.#due.clear();
    this.#known.clear();
  }

  readonly #sendDue = (): void => {
    const queue = this.#queue;
    if (queue === undefined) return;
    let taken = 0;
    for (const key of this.#due) {
      const message = this.#message(Math.floor(key / EVENTS), (key % EVENTS) as ControlEvent);
      for (;;) {
        if (taken++ === queue.size) {
          this.#continueLater();
          return;
        }
        const buffer = queue.pop();
        if (buffer === undefined) return;
        if (buffer.writableBytes >= message.length) {
          queue.push(buffer, buffer.write(0, message));
          break;
        }
        this.#counters.malformedBuffers++;
        queue.push(buffer, 0);
      }
      this.#due.delete(key);
    }
  };

  #message(port: number, event: ControlEvent): Uint8Array {
    const { value, more = new Uint8Array(0) } = this.#contentsOf(port, event);
    const bytes = new Uint8Array(ControlMessage.BYTES + more.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(ControlMessage.PORT, port, true);
    view.setUint16(ControlMessage.EVENT, event, true);
    view.setUint16(ControlMessage.VALUE, value, true);
    bytes.set(more, ControlMessage.BYTES);
    return bytes;
  }

  /** A hostile driver may add useless buffers as fast as they are taken. */
  #continueLater(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    void host.turn().then(() => {
      this.#isTurning = false;
      this.kick();
    });
  }
}
