/**
 * ReceiveQueue: puts received frames into the driver's buffers. A frame that finds none waits, in
 * bounded numbers.
 *
 * Called by: VirtioNet: `receive` for each frame, `kick` when the driver has added buffers.
 * Source: virtio 1.2, sections 5.1.6.3 and 5.1.6.4.
 *
 * Buffers that are too few for a frame are kept for it: they cannot be put back into the queue.
 */

import { host } from '../../../host/current.js';
import type { UsedBuffer, Virtqueue, VirtqueueBuffer } from '../virtqueue.js';
import type { Offload } from '../../network/offload.js';
import type { NetCounters } from './net-counters.js';
import { PacketHeader } from './net-layout.js';
import { writeOffload } from './packet-offload.js';

/** Frames that wait for buffers, and their bytes. More are dropped. */
export const MAX_WAITING_FRAMES = 256;
export const MAX_WAITING_BYTES = 1 << 20;

export interface ReceiveQueueOptions {
  readonly queue: Virtqueue;
  /** Whether a frame may take several buffers (VIRTIO_NET_F_MRG_RXBUF). */
  readonly isMergeable: boolean;
  readonly counters: NetCounters;
}

interface WaitingFrame {
  readonly frame: Uint8Array;
  readonly offload: Offload | undefined;
}

export class ReceiveQueue {
  readonly #queue: Virtqueue;
  readonly #isMergeable: boolean;
  readonly #counters: NetCounters;
  readonly #header = new Uint8Array(PacketHeader.BYTES);
  #waiting: WaitingFrame[] = [];
  #waitingBytes = 0;
  /** Buffers that were taken for the next frame, and how many bytes they have room for. */
  #taken: VirtqueueBuffer[] = [];
  #takenBytes = 0;
  /** Buffers that may still be taken before the event loop turns. */
  #budget = 0;
  #isTurning = false;
  #isStopped = false;

  constructor({ queue, isMergeable, counters }: ReceiveQueueOptions) {
    this.#queue = queue;
    this.#isMergeable = isMergeable;
    this.#counters = counters;
  }

  /** The bytes are valid during the call. */
  receive(frame: Uint8Array, offload?: Offload): void {
    this.#budget = this.#queue.size;
    if (this.#waiting.length > 0 || !this.#deliver(frame, offload)) this.#keep(frame, offload);
    if (this.#budget === 0) this.#continueLater();
  }

  /** The driver has added buffers. */
  kick(): void {
    this.#budget = this.#queue.size;
    let delivered = 0;
    for (const { frame, offload } of this.#waiting) {
      if (!this.#deliver(frame, offload)) break;
      delivered++;
      this.#waitingBytes -= frame.length;
    }
    if (delivered > 0) this.#waiting = this.#waiting.slice(delivered);
    if (this.#budget === 0) this.#continueLater();
  }

  /** Called at a reset: drops what waits. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
    this.#taken = [];
  }

  /** Returns false if the frame has to wait. A frame that fits no buffers is dropped. */
  #deliver(frame: Uint8Array, offload: Offload | undefined): boolean {
    const bytes = PacketHeader.BYTES + frame.length;
    while (this.#takenBytes < bytes) {
      if (this.#taken.length === (this.#isMergeable ? this.#queue.size : 1)) {
        this.#counters.droppedTooLong++;
        return true;
      }
      if (!this.#take()) return false;
    }
    this.#fill(frame, offload);
    return true;
  }

  /** Takes a buffer. Returns false if the ring has no buffer, or the budget is used up. */
  #take(): boolean {
    while (this.#budget > 0) {
      const buffer = this.#queue.pop();
      if (buffer === undefined) return false;
      this.#budget--;
      if (buffer.writableBytes >= PacketHeader.BYTES) {
        this.#taken.push(buffer);
        this.#takenBytes += buffer.writableBytes;
        return true;
      }
      this.#counters.malformedBuffers++;
      this.#queue.push(buffer, 0);
    }
    return false;
  }

  #fill(frame: Uint8Array, offload: Offload | undefined): void {
    const used: UsedBuffer[] = [];
    writeOffload(this.#header, offload);
    this.#header[PacketHeader.NUM_BUFFERS] = this.#taken.length;
    this.#header[PacketHeader.NUM_BUFFERS + 1] = this.#taken.length >> 8;
    let at = 0;
    for (const buffer of this.#taken) {
      const start = used.length === 0 ? buffer.write(0, this.#header) : 0;
      const part = frame.subarray(at, at + buffer.writableBytes - start);
      used.push({ buffer, writtenBytes: start + buffer.write(start, part) });
      at += part.length;
    }
    this.#taken = [];
    this.#takenBytes = 0;
    this.#counters.receivedFrames++;
    this.#counters.receivedBytes += frame.length;
    this.#queue.pushAll(used);
  }

  #keep(frame: Uint8Array, offload: Offload | undefined): void {
    if (this.#waiting.length < MAX_WAITING_FRAMES && this.#waitingBytes + frame.length <= MAX_WAITING_BYTES) {
      this.#waiting.push({ frame: new Uint8Array(frame), offload });
      this.#waitingBytes += frame.length;
    } else {
      this.#counters.droppedNoBuffer++;
    }
  }

  /** A hostile driver may add useless buffers as fast as they are taken. */
  #continueLater(): void {
    if (this.#isTurning || this.#waiting.length === 0) return;
    this.#isTurning = true;
    void host.turn().then(() => {
      this.#isTurning = false;
      if (!this.#isStopped) this.kick();
    });
  }
}
