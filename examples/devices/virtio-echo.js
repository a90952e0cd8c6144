// @ts-check
/**
 * A virtio device that gives each buffer back with the bytes that the driver put into it:
 *
 *     ./upcall run debian --device examples/devices/virtio-echo.js@pci
 *
 * Linux shows it in /sys/bus/virtio/devices and has no driver for it. See docs/virtio.md.
 */

import { QueueWorker, virtioPciCard } from 'upcall';

/** Bytes of a buffer that come back. */
const MAX_BYTES = 4096;

/** A `VirtioDevice`. */
export class VirtioEcho {
  name = 'virtio-echo';
  type = 42; // Section 5 of virtio 1.2 lists the numbers that are taken.
  pciClass = 0xff0000;
  /** @type {number[]} */
  features = [];
  queueSizes = [64];
  config = new Uint8Array(0);
  /** @type {QueueWorker | undefined} */
  #worker;

  /** @param {import('upcall').VirtioDriver} driver */
  activate(driver) {
    const queue = driver.queue(0);
    if (queue === undefined) return;
    this.#worker = new QueueWorker({
      queue,
      serve: (buffer) => {
        const bytes = new Uint8Array(Math.min(buffer.readableBytes, MAX_BYTES));
        queue.push(buffer, buffer.write(0, bytes.subarray(0, buffer.read(0, bytes))));
        return false; // The device keeps no buffer.
      },
    });
  }

  notified() {
    this.#worker?.kick();
  }

  reset() {
    this.#worker?.stop();
    this.#worker = undefined;
  }
}

export default () => virtioPciCard(new VirtioEcho());
