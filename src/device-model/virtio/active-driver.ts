/**
 * ActiveDriver: a device's view of a driver that is ready, from DRIVER_OK to the reset. After that
 * nothing that the device does with it has an effect.
 *
 * Called by: VirtioState, which creates it; the device.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 */

import type { RingQueue } from './ring-queue.js';
import type { VirtioDriver } from './virtio-device.js';

interface ActiveDriverOptions {
  /**
   * Those that the driver has enabled, by their numbers. VirtioState adds them before `activate`.
   */
  readonly queues: Map<number, RingQueue>;
  /** Whether the driver has accepted the feature. */
  readonly has: (feature: number) => boolean;
  /** Gives the configuration a new generation, and interrupts the driver. */
  readonly configChanged: () => void;
  /** Sets DEVICE_NEEDS_RESET. The queues have stopped. */
  readonly fail: (reason: string) => void;
}

export class ActiveDriver implements VirtioDriver {
  readonly #options: ActiveDriverOptions;
  #isStopped = false;
  #hasFailed = false;

  constructor(options: ActiveDriverOptions) {
    this.#options = options;
  }

  has(feature: number): boolean {
    return !this.#isStopped && this.#options.has(feature);
  }

  queue(index: number): RingQueue | undefined {
    return this.#isStopped || this.#hasFailed ? undefined : this.#options.queues.get(index);
  }

  configChanged(): void {
    if (!this.#isStopped) this.#options.configChanged();
  }

  fail(reason: string): void {
    if (this.#isStopped || this.#hasFailed) return;
    this.#hasFailed = true;
    this.#stopQueues();
    this.#options.fail(reason);
  }

  /** The driver has disabled the queue. */
  stopQueue(index: number): void {
    this.#options.queues.get(index)?.stop();
    this.#options.queues.delete(index);
  }

  /** Called at the reset: every method does nothing from then on. */
  stop(): void {
    this.#isStopped = true;
    this.#stopQueues();
  }

  #stopQueues(): void {
    for (const queue of this.#options.queues.values()) queue.stop();
  }
}
