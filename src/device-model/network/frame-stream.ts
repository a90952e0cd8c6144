/**
 * Frames over a stream of bytes: each one after its length, 4 bytes, big-endian. That is what
 * `-netdev stream` of QEMU and passt speak.
 *
 * FrameReader finds the frames again. FrameWriter sends them, several together.
 *
 * Called by: StreamPort.
 */

import type { ByteStream } from '../../host/byte-stream.js';
import { ETHERNET_HEADER_BYTES, MAX_FRAME_BYTES } from './ethernet.js';

export const LENGTH_BYTES = 4;
/** Bytes that wait for the other side to read. Further frames are dropped. */
export const MAX_PENDING_BYTES = 1 << 20;
/** Bytes, with the lengths, that are sent together. More than the largest frame has. */
const BATCH_BYTES = 1 << 17;

export interface FrameCounters {
  /** Frames that the other side was too slow for. */
  droppedSlow: number;
  /** Frames too short to have addresses. */
  droppedShort: number;
}

export class FrameReader {
  readonly #counters: FrameCounters;
  readonly #length = new Uint8Array(LENGTH_BYTES);
  readonly #lengthView = new DataView(this.#length.buffer);
  /** Bytes of the length that have arrived. */
  #lengthHas = 0;
  /** The frame that has arrived in part, and how much of it. */
  #frame: Uint8Array | undefined;
  #frameHas = 0;

  constructor(counters: FrameCounters) {
    this.#counters = counters;
  }

  /**
   * Calls `onFrame` for each frame that is complete with these bytes. The frame is valid during
   * that call. Returns false at a length above MAX_FRAME_BYTES, after which nothing can be read.
   */
  read(bytes: Uint8Array, onFrame: (frame: Uint8Array) => void): boolean {
    for (let at = 0; at < bytes.length;) {
      if (this.#frame !== undefined) {
        at += this.#fill(this.#frame, bytes.subarray(at), onFrame);
        continue;
      }
      this.#length[this.#lengthHas++] = bytes[at++] as number;
      if (this.#lengthHas < LENGTH_BYTES) continue;
      this.#lengthHas = 0;
      const length = this.#lengthView.getUint32(0);
      if (length > MAX_FRAME_BYTES) return false;
      if (bytes.length - at >= length) {
        this.#emit(bytes.subarray(at, at + length), onFrame);
        at += length;
      } else {
        this.#frame = new Uint8Array(length);
        this.#frameHas = 0;
      }
    }
    return true;
  }

  /** Adds to the frame that has begun. Returns how many bytes it takes. */
  #fill(frame: Uint8Array, bytes: Uint8Array, onFrame: (frame: Uint8Array) => void): number {
    const part = bytes.subarray(0, frame.length - this.#frameHas);
    frame.set(part, this.#frameHas);
    this.#frameHas += part.length;
    if (this.#frameHas === frame.length) {
      this.#frame = undefined;
      this.#emit(frame, onFrame);
    }
    return part.length;
  }

  #emit(frame: Uint8Array, onFrame: (frame: Uint8Array) => void): void {
    if (frame.length >= ETHERNET_HEADER_BYTES) onFrame(frame);
    else this.#counters.droppedShort++;
  }
}

export class FrameWriter {
  readonly #stream: ByteStream;
  readonly #counters: FrameCounters;
  /** At first for one frame of an ordinary MTU. */
  #batch = new Uint8Array(LENGTH_BYTES + 2048);
  #used = 0;

  constructor(stream: ByteStream, counters: FrameCounters) {
    this.#stream = stream;
    this.#counters = counters;
  }

  /** Sends a frame, with others, at the end of the current callback. */
  write(frame: Uint8Array): void {
    if (this.#stream.pendingBytes + this.#used > MAX_PENDING_BYTES) {
      this.#counters.droppedSlow++;
      return;
    }
    const end = this.#used + LENGTH_BYTES + frame.length;
    if (end > BATCH_BYTES) {
      this.#flush();
      this.write(frame);
      return;
    }
    if (this.#used === 0) queueMicrotask(() => this.#flush());
    if (end > this.#batch.length) this.#grow(end);
    new DataView(this.#batch.buffer).setUint32(this.#used, frame.length);
    this.#batch.set(frame, this.#used + LENGTH_BYTES);
    this.#used = end;
  }

  #grow(bytes: number): void {
    const larger = new Uint8Array(Math.min(BATCH_BYTES, 2 * bytes));
    larger.set(this.#batch.subarray(0, this.#used));
    this.#batch = larger;
  }

  #flush(): void {
    if (this.#used > 0) this.#stream.write(this.#batch.slice(0, this.#used));
    this.#used = 0;
  }
}
