/**
 * VirtioBlock: the virtio block device, a disk for a guest (virtio 1.2, section 5.2).
 *
 * Called by: VirtioState, for the transport that carries it (PCI or MMIO). All work on the disk
 * image is asynchronous.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * - Each queue has an equal share of MAX_REQUESTS. All share the memory of PiecePool
 *   (block-limits.ts).
 * - After a reset the requests of the next driver wait until those of the one before have ended.
 * - Writes are volatile until a flush (write-back). Each write is followed by a flush
 *   (write-through) if the driver has selected that, or has accepted neither FLUSH nor CONFIG_WCE.
 *   A driver with CONFIG_WCE and without FLUSH begins with write-through.
 */

import type { DiskImage } from '../../disk/disk-image.js';
import { MergedFlush } from '../../disk/merged-flush.js';
import { Deferred } from '../../../sync/deferred.js';
import type { VirtioDevice, VirtioDriver } from '../virtio-device.js';
import { blockConfig, blockFeatures } from './block-config.js';
import { blockCounters } from './block-counters.js';
import { BLOCK_DEVICE_ID, BlockConfig, BlockFeature, ID_BYTES } from './block-layout.js';
import { MAX_PIECES, MAX_QUEUES, MAX_REQUESTS, PIECE_BYTES, QUEUE_SIZE } from './block-limits.js';
import { BlockSession } from './block-session.js';
import { PiecePool } from './piece-pool.js';

/** Mass storage, no further kind. */
const PCI_CLASS = 0x01_80_00;

export interface VirtioBlockOptions {
  /** The device owns it from now on, and closes it. */
  readonly image: DiskImage;
  /** Default: virtio-blk. */
  readonly name?: string;
  /** 1…MAX_QUEUES. Default: 1. */
  readonly queues?: number;
  /**
   * What the driver gets as the disk's ID: at most 20 printable ASCII characters. Default: the
   * name.
   */
  readonly id?: string;
  /**
   * The host could not perform `operation`: a kind of BlockRequest, for which the driver gets an
   * error, or `close`.
   */
  readonly onError?: (operation: string, error: unknown) => void;
}

export class VirtioBlock implements VirtioDevice {
  readonly name: string;
  readonly type = BLOCK_DEVICE_ID;
  readonly pciClass = PCI_CLASS;
  readonly features: readonly number[];
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array;
  /** Since the device was made. */
  readonly counters = blockCounters();
  readonly #image: DiskImage;
  readonly #id: string;
  readonly #onError: (operation: string, error: unknown) => void;
  readonly #pieces = new PiecePool(MAX_PIECES, PIECE_BYTES);
  readonly #flush: MergedFlush;
  readonly #closed = new Deferred<void>();
  #session: BlockSession | undefined;
  /** Requests in service, also those of earlier drivers. */
  #pending = 0;
  #onIdle: (() => void)[] = [];

  /**
   * Throws RangeError if `queues` is not a whole number from 1 to MAX_QUEUES, or if the ID, also
   * that from the name, is invalid.
   */
  constructor({ image, name = 'virtio-blk', queues = 1, id = name, onError }: VirtioBlockOptions) {
    if (!(Number.isInteger(queues) && queues >= 1 && queues <= MAX_QUEUES))
      throw new RangeError(`${name}: ${queues} queues, expected 1 to ${MAX_QUEUES}`);
    if (!new RegExp(`^[ -~]{0,${ID_BYTES}}$`).test(id))
      throw new RangeError(`${name}: the ID "${id}" is not of at most ${ID_BYTES} ASCII characters`);
    this.name = name;
    this.features = blockFeatures(image, queues);
    this.queueSizes = Array.from({ length: queues }, () => QUEUE_SIZE);
    this.config = blockConfig(image, queues);
    this.#image = image;
    this.#id = id;
    this.#onError = onError ?? (() => undefined);
    this.#flush = new MergedFlush(() => image.flush());
  }

  /** Resolves when the image is closed. Rejects as its `close` does. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  writeConfig(offset: number, size: 1 | 2 | 4, value: number): void {
    // The device gets the accepted features in `activate`, and a driver may write the field before.
    // So this only checks what was offered. Without CONFIG_WCE the field has no effect.
    if (offset !== BlockConfig.WRITEBACK || size !== 1 || !this.features.includes(BlockFeature.CONFIG_WCE)) return;
    this.config[BlockConfig.WRITEBACK] = value === 0 ? 0 : 1;
  }

  activate(driver: VirtioDriver): void {
    // Virtio 1.2, section 5.2.5.2: a driver that cannot flush begins with write-through.
    if (driver.has(BlockFeature.CONFIG_WCE) && !driver.has(BlockFeature.FLUSH)) {
      this.config[BlockConfig.WRITEBACK] = 0;
      driver.configChanged();
    }
    const session = new BlockSession({
      driver,
      image: this.#image,
      id: this.#id,
      limit: Math.floor(MAX_REQUESTS / this.queueSizes.length),
      pieces: this.#pieces,
      counters: this.counters,
      flush: () => this.#flush.run(),
      isWriteThrough: () => this.#isWriteThrough(driver),
      onError: this.#onError,
      onPending: (change) => this.#countPending(change),
    });
    this.#session = session;
    this.#whenIdle(() => session.start(this.queueSizes.length));
  }

  notified(queue: number): void {
    this.#session?.notified(queue);
  }

  reset(): void {
    this.#session?.end();
    this.#session = undefined;
    if (!this.#image.isReadOnly) this.config[BlockConfig.WRITEBACK] = 1;
  }

  /** Resolves when the image is closed, or could not be. The transport calls it after `reset`. */
  close(): Promise<void> {
    this.#whenIdle(() => {
      this.#image.close().then(
        () => this.#closed.resolve(),
        (error: unknown) => {
          this.#onError('close', error);
          this.#closed.reject(error as Error);
        },
      );
    });
    // The owner may not wait for it, and gets the error by `onError` too.
    return this.closed.catch(() => undefined);
  }

  /** Source: virtio 1.2, section 5.2.6.2, "a write becomes stable". */
  #isWriteThrough(driver: VirtioDriver): boolean {
    return driver.has(BlockFeature.CONFIG_WCE)
      ? this.config[BlockConfig.WRITEBACK] === 0
      : !driver.has(BlockFeature.FLUSH);
  }

  /** Calls back when no request is in service, now or later. */
  #whenIdle(callback: () => void): void {
    if (this.#pending === 0) callback();
    else this.#onIdle.push(callback);
  }

  #countPending(change: 1 | -1): void {
    this.#pending += change;
    if (this.#pending === 0) for (const callback of this.#onIdle.splice(0)) callback();
  }
}
