/**
 * Virtqueue: one queue of a virtio device, as the device sees it. The driver makes buffers
 * available, the device takes them, and gives them back used, in any order.
 *
 * Implementations: SplitQueue and PackedQueue. Called by: a VirtioDevice (virtio-device.ts), often
 * through a QueueWorker.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * All bytes are copied, so that a guest that changes a buffer meanwhile changes no decision, and no
 * operation that ends late writes into the memory of a device that was reset.
 *
 * Source: virtio 1.2, section 2.6.
 */

/**
 * One buffer: bytes for the device to read, then bytes for it to write. Either part may be empty.
 */
export interface VirtqueueBuffer {
  readonly readableBytes: number;
  readonly writableBytes: number;
  /**
   * Fills `target` with the driver's bytes, from `offset` of the readable part on. Returns how many
   * bytes were copied: 0 after a reset, and after the buffer was given back.
   */
  read(offset: number, target: Uint8Array): number;
  /**
   * Copies `source` to `offset` of the writable part. Returns how many bytes were copied: 0 after a
   * reset, and after the buffer was given back.
   */
  write(offset: number, source: Uint8Array): number;
}

/** A buffer to give back, and how many bytes were written to it. */
export interface UsedBuffer {
  readonly buffer: VirtqueueBuffer;
  readonly writtenBytes: number;
}

export interface Virtqueue {
  /** The queue's number. */
  readonly index: number;
  /** The number of entries that the driver has set: 1 to that in VirtioDevice.queueSizes. */
  readonly size: number;
  /**
   * Takes the next buffer. Returns undefined if none is available. The driver then notifies the
   * device of the next one. Also returns undefined after a reset, while a card is not a bus master,
   * and if the queue is corrupt: then `VirtioDriver.fail` was called already.
   */
  pop(): VirtqueueBuffer | undefined;
  /**
   * Gives a buffer back, once, with the number of bytes written. Interrupts the driver, if it wants
   * that. Does nothing after a reset.
   */
  push(buffer: VirtqueueBuffer, writtenBytes: number): void;
  /**
   * Runs `act`. The buffers that it gives back together make one interrupt, at its end. QueueWorker
   * does this.
   */
  batch(act: () => void): void;
  /**
   * As `push` for each of them, at least one. The driver sees all of them or none: a packet in
   * several buffers is one.
   */
  pushAll(used: readonly UsedBuffer[]): void;
}
