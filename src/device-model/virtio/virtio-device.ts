/**
 * VirtioDevice: the interface of a virtio device (block, network, …), whatever carries it: PCI
 * (virtio-pci-card.ts) or MMIO (virtio-mmio.ts). The transport and VirtioState implement registers,
 * features, queues and interrupts. The device implements what is done with buffers.
 *
 * Called by: VirtioState (virtio-state.ts); the transport, for `close`.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * The guest is hostile: any buffer may have any lengths and any bytes. A device answers as the
 * specification says. If that says nothing, it gives the buffer back with 0 bytes written, or calls
 * `VirtioDriver.fail`. A throw is a bug of the device.
 *
 * Source: virtio 1.2, sections 2 and 3.
 */

import type { Virtqueue } from './virtqueue.js';

export interface VirtioDevice {
  /** Names the device in messages, traces and statistics. */
  readonly name: string;
  /** The device ID: virtio 1.2, section 5. */
  readonly type: number;
  /** 24 bits: PCI class, subclass, programming interface. */
  readonly pciClass: number;
  /** Numbers of the feature bits that it offers: 0…23 and 50…127, without those of transports. */
  readonly features: readonly number[];
  /** The largest size of each queue: a power of two, 1…1024. */
  readonly queueSizes: readonly number[];
  /**
   * The device-specific configuration, little-endian. The driver reads its current bytes. After a
   * change, call `VirtioDriver.configChanged`.
   */
  readonly config: Uint8Array;
  /** The driver writes bytes that are within the configuration. Default: ignored. */
  writeConfig?(offset: number, size: 1 | 2 | 4, value: number): void;
  /** The driver is ready (DRIVER_OK). Called again only after a `reset`. */
  activate(driver: VirtioDriver): void;
  /**
   * The driver has made buffers available in this queue, which it has enabled. Also called for each
   * enabled queue after `activate`. Must not take more than the queue's size at a time: a hostile
   * driver adds buffers as fast as they are taken (QueueWorker does it right).
   */
  notified(queue: number): void;
  /**
   * The driver, or the VM, is reset: forget the driver and its buffers. Called once after each
   * `activate`, and also at the end of a driver that has set up a queue wrongly, for which
   * `activate` is not called. Operations that cannot be stopped may end later. Those of the next
   * driver must not overtake them.
   */
  reset(): void;
  /**
   * Releases files, sockets and timers. Called once, when no driver is active any more. Returns a
   * promise if that takes longer.
   */
  close?(): void | Promise<void>;
}

/**
 * The driver of a device, from `activate` to `reset`. After that its methods do nothing and return
 * false or undefined.
 */
export interface VirtioDriver {
  /** Whether the driver has accepted feature bit `feature`. */
  has(feature: number): boolean;
  /** Undefined if the driver has not enabled this queue, and after `fail`. */
  queue(index: number): Virtqueue | undefined;
  /** `VirtioDevice.config` has changed. */
  configChanged(): void;
  /**
   * The device cannot go on and needs a reset (DEVICE_NEEDS_RESET). Its queues stop. `reason`: for
   * the operator, a sentence part such as "the request has no status byte".
   */
  fail(reason: string): void;
}
