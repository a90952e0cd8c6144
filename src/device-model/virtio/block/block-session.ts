/**
 * BlockSession: a block device with one driver, from DRIVER_OK to the reset: takes requests from
 * the queues and performs them.
 *
 * Called by: VirtioBlock.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * A request holds at most one piece of memory at a time, and ends at a reset before its next
 * piece. The number of requests is bounded by the sum of the queues' limits.
 */

import type { DiskImage } from '../../disk/disk-image.js';
import { QueueWorker } from '../queue-worker.js';
import type { VirtioDriver } from '../virtio-device.js';
import type { Virtqueue, VirtqueueBuffer } from '../virtqueue.js';
import type { BlockCounters } from './block-counters.js';
import { BlockStatus, HEADER_BYTES, ID_BYTES, type BlockStatusValue } from './block-layout.js';
import { ZERO_PIECE_BYTES } from './block-limits.js';
import { parseBlockRequest, type BlockRequest, type BlockRules, type DiskRange } from './block-request.js';
import type { PiecePool } from './piece-pool.js';

export interface BlockSessionOptions {
  readonly driver: VirtioDriver;
  readonly image: DiskImage;
  readonly id: string;
  /** Requests that one queue may have in service. */
  readonly limit: number;
  readonly pieces: PiecePool;
  readonly counters: BlockCounters;
  /** Resolves when all that was written before is on stable storage. */
  readonly flush: () => Promise<void>;
  /** Whether a write must be on stable storage when it is reported as done. */
  readonly isWriteThrough: () => boolean;
  /** The host could not perform a request of kind `operation`. */
  readonly onError: (operation: string, error: unknown) => void;
  /** A request begins, or has ended. */
  readonly onPending: (change: 1 | -1) => void;
}

export class BlockSession {
  readonly #options: BlockSessionOptions;
  readonly #rules: BlockRules;
  readonly #workers: (QueueWorker | undefined)[] = [];
  #isStarted = false;
  #isEnded = false;

  constructor(options: BlockSessionOptions) {
    const { driver, image } = options;
    this.#options = options;
    this.#rules = {
      diskSize: image.size,
      isReadOnly: image.isReadOnly,
      has: (feature) => driver.has(feature),
    };
  }

  /** From now on requests are served, those that wait first. */
  start(queues: number): void {
    this.#isStarted = true;
    for (let queue = 0; queue < queues; queue++) this.notified(queue);
  }

  notified(index: number): void {
    if (!this.#isStarted || this.#isEnded) return;
    const { driver, limit } = this.#options;
    const queue = this.#workers[index] === undefined ? driver.queue(index) : undefined;
    if (queue !== undefined)
      this.#workers[index] = new QueueWorker({
        queue,
        limit,
        serve: (buffer) => this.#serve(buffer, queue, index),
      });
    this.#workers[index]?.kick();
  }

  /** Called at a reset: no request begins or goes on to its next piece. */
  end(): void {
    this.#isEnded = true;
    for (const worker of this.#workers) worker?.stop();
  }

  /** Returns whether the request ends later. */
  #serve(buffer: VirtqueueBuffer, queue: Virtqueue, index: number): boolean {
    const { counters, driver } = this.#options;
    if (buffer.writableBytes === 0) {
      counters.refused++;
      driver.fail('a request has no room for its status');
      return false;
    }
    const request = parseBlockRequest(buffer, this.#rules);
    if (typeof request === 'number') {
      counters.refused++;
      give(buffer, queue, request);
      return false;
    }
    if (request.kind === 'id') {
      this.#writeId(buffer);
      give(buffer, queue, BlockStatus.OK);
      return false;
    }
    void this.#finish(request, buffer, queue, index);
    return true;
  }

  /** Never rejects. */
  async #finish(request: BlockRequest, buffer: VirtqueueBuffer, queue: Virtqueue, index: number): Promise<void> {
    const { counters, onError, onPending } = this.#options;
    onPending(1);
    let status: BlockStatusValue;
    try {
      status = await this.#perform(request, buffer);
    } catch (error) {
      counters.errors++;
      onError(request.kind, error);
      status = BlockStatus.IOERR;
    }
    give(buffer, queue, status);
    onPending(-1);
    this.#workers[index]?.done();
  }

  async #perform(request: BlockRequest, buffer: VirtqueueBuffer): Promise<BlockStatusValue> {
    const { counters, flush, image, isWriteThrough } = this.#options;
    let isDone = true;
    switch (request.kind) {
      case 'read':
        counters.reads++;
        return statusOf(await this.#read(request, buffer));
      case 'write':
        counters.writes++;
        isDone = await this.#write(request, buffer);
        break;
      case 'zero':
        counters.zeroes++;
        for (const { mayDeallocate, ...range } of request.ranges)
          isDone &&= await this.#inPieces(range, (position, length) =>
            image.writeZeroes(position, length, mayDeallocate),
          );
        break;
      case 'discard':
        counters.discards++;
        for (const range of request.ranges)
          isDone &&= await this.#inPieces(range, (position, length) => image.discard(position, length));
        return statusOf(isDone);
      // `flush`: requests of kind `id` were answered before.
      default:
        counters.flushes++;
        await flush();
        return BlockStatus.OK;
    }
    if (isDone && isWriteThrough()) await flush();
    return statusOf(isDone);
  }

  /** Returns false if a reset has ended it. */
  async #read({ position, length }: DiskRange, buffer: VirtqueueBuffer): Promise<boolean> {
    const { counters, image, pieces } = this.#options;
    for (let at = 0; at < length;) {
      const piece = await pieces.take();
      try {
        if (this.#isEnded) return false;
        const part = piece.subarray(0, length - at);
        await image.read(position + at, part);
        buffer.write(at, part);
        at += part.length;
      } finally {
        pieces.give(piece);
      }
    }
    counters.bytesRead += length;
    return true;
  }

  /** Returns false if a reset has ended it, or the driver may not give its memory any more. */
  async #write({ position, length }: DiskRange, buffer: VirtqueueBuffer): Promise<boolean> {
    const { counters, image, pieces } = this.#options;
    for (let at = 0; at < length;) {
      const piece = await pieces.take();
      try {
        const part = piece.subarray(0, length - at);
        // Fewer bytes: the queue has stopped, or the card is not a bus master any more.
        if (this.#isEnded || buffer.read(HEADER_BYTES + at, part) !== part.length) return false;
        await image.write(position + at, part);
        at += part.length;
      } finally {
        pieces.give(piece);
      }
    }
    counters.bytesWritten += length;
    return true;
  }

  /** Returns false if a reset has ended it. */
  async #inPieces(
    { position, length }: DiskRange,
    work: (position: number, length: number) => Promise<void>,
  ): Promise<boolean> {
    for (let at = 0; at < length; at += ZERO_PIECE_BYTES) {
      if (this.#isEnded) return false;
      await work(position + at, Math.min(ZERO_PIECE_BYTES, length - at));
    }
    return true;
  }

  #writeId(buffer: VirtqueueBuffer): void {
    const id = new Uint8Array(ID_BYTES);
    id.set(new TextEncoder().encode(this.#options.id));
    // If there is less room, the status overwrites its last byte.
    buffer.write(0, id);
  }
}

function statusOf(isDone: boolean): BlockStatusValue {
  return isDone ? BlockStatus.OK : BlockStatus.IOERR;
}

/**
 * The status is the last writable byte. All writable bytes count as written, also of a read that
 * has failed: otherwise the length would not cover the status. QEMU does the same.
 */
function give(buffer: VirtqueueBuffer, queue: Virtqueue, status: BlockStatusValue): void {
  buffer.write(buffer.writableBytes - 1, Uint8Array.of(status));
  queue.push(buffer, buffer.writableBytes);
}
