/**
 * ShareDevice: a folder of the host in the guest: 9P2000.L over virtio. Linux mounts it by its tag:
 * `mount -t 9p -o trans=virtio,version=9p2000.L TAG /mnt`.
 *
 * Called by: share-card.ts, which puts it into a card; the card's VirtioState.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 * All access to files is asynchronous.
 *
 * Source: not virtio 1.2, which only reserves the device ID 9. Linux' client (net/9p, trans_virtio
 * and virtio_9p): there is one queue, and each buffer has a request and room for its answer.
 */

import type { SharedFolder } from '../../../host/shared-folder.js';
import { QueueWorker } from '../queue-worker.js';
import type { VirtioDevice, VirtioDriver } from '../virtio-device.js';
import type { Virtqueue, VirtqueueBuffer } from '../virtqueue.js';
import { MAX_MESSAGE_BYTES, MAX_REQUESTS } from './protocol.js';
import { ShareSession } from './share-session.js';

/** VIRTIO_9P_MOUNT_TAG: the configuration has a tag. */
const MOUNT_TAG = 0;
/** Linux' transport uses up to 128 descriptors for one request. */
const QUEUE_SIZE = 128;
/** The longest tag, in bytes. */
export const MAX_SHARE_TAG = 31;

export interface ShareDeviceOptions {
  /** The device closes it. */
  readonly folder: SharedFolder;
  /** The guest mounts it by this name: 1 to 31 bytes. */
  readonly tag: string;
}

export class ShareDevice implements VirtioDevice {
  readonly name: string;
  readonly type = 9;
  /** The class 0xff, for devices that fit no other one. */
  readonly pciClass = 0xff_0000;
  readonly features: readonly number[] = [MOUNT_TAG];
  readonly queueSizes: readonly number[] = [QUEUE_SIZE];
  readonly config: Uint8Array;
  /** Resolves after `close`, when the last request has ended and the folder is closed. */
  readonly closed: Promise<void>;
  #resolveClosed: () => void = () => undefined;
  readonly #folder: SharedFolder;
  #session: ShareSession | undefined;
  #worker: QueueWorker | undefined;
  /** Resolves when the requests of all former drivers have ended. */
  #settled: Promise<void> = Promise.resolve();

  /** Throws RangeError for a tag of an invalid length. */
  constructor({ folder, tag }: ShareDeviceOptions) {
    const bytes = new TextEncoder().encode(tag);
    if (bytes.length < 1 || bytes.length > MAX_SHARE_TAG)
      throw new RangeError(`the tag has ${bytes.length} bytes, expected 1 to ${MAX_SHARE_TAG}`);
    this.name = `virtio-9p ${tag}`;
    this.config = Uint8Array.of(bytes.length, 0, ...bytes);
    this.#folder = folder;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
  }

  activate(driver: VirtioDriver): void {
    const queue = driver.queue(0);
    if (queue === undefined) return;
    const session = new ShareSession({
      folder: this.#folder,
      onBug: (error) => driver.fail(error instanceof Error ? error.message : String(error)),
    });
    const worker = new QueueWorker({
      queue,
      serve: (buffer) => {
        void this.#serve(session, buffer, queue).then(() => worker.done());
        return true;
      },
      limit: MAX_REQUESTS,
    });
    this.#session = session;
    // Until the requests of former drivers have ended, new ones wait in the queue.
    void this.#settled.then(() => {
      if (this.#session !== session) return;
      this.#worker = worker;
      worker.kick();
    });
  }

  notified(): void {
    this.#worker?.kick();
  }

  reset(): void {
    this.#worker?.stop();
    this.#worker = undefined;
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) this.#settled = Promise.all([this.#settled, session.close()]).then(() => undefined);
  }

  close(): void {
    void this.#settled.then(() => this.#folder.close()).then(this.#resolveClosed);
  }

  async #serve(session: ShareSession, buffer: VirtqueueBuffer, queue: Virtqueue): Promise<void> {
    const request = new Uint8Array(Math.min(buffer.readableBytes, MAX_MESSAGE_BYTES));
    buffer.read(0, request);
    const answer = await session.serve(request, buffer.writableBytes);
    queue.push(buffer, buffer.write(0, answer));
  }
}
