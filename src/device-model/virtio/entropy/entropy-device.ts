/**
 * EntropyDevice: the virtio entropy device. It fills the driver's buffers with random bytes.
 *
 * Called by: VirtioState, for the transport that carries it (PCI or MMIO).
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * The guest may ask without end. So each buffer gets a bounded number of bytes, of which the
 * specification demands at least one, and each period has a budget. What exceeds it waits for the
 * next period.
 *
 * Source: virtio 1.2, section 5.4. It defines no feature and no configuration.
 */

import { SystemClock, type Clock, type ClockTimer } from '../../clock.js';
import type { VirtioDevice, VirtioDriver } from '../virtio-device.js';
import type { Virtqueue } from '../virtqueue.js';

/** Random bytes that one buffer gets at most. */
export const MAX_ENTROPY_BUFFER_BYTES = 4096;
/** The budget of a period: 3 MB/s. Linux takes 64 bytes at a time. */
export const ENTROPY_PERIOD_BYTES = 32_768;
export const ENTROPY_PERIOD_MS = 10;
/** A buffer costs at least this, also if it has no room: its handling takes time, too. */
export const MIN_ENTROPY_BUFFER_COST = 64;

export interface EntropyDeviceOptions {
  /**
   * Fills `bytes`. Default: the host's cryptographically secure generator. A run that is to be
   * repeated exactly brings one of its own.
   */
  readonly source?: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Times the periods. Default: the host's. */
  readonly clock?: Clock;
}

export class EntropyDevice implements VirtioDevice {
  readonly name = 'virtio-entropy';
  readonly type = 4;
  /** Others: no class of PCI fits. */
  readonly pciClass = 0xff_0000;
  readonly features: readonly number[] = [];
  /** One queue. Linux has one request at a time. */
  readonly queueSizes: readonly number[] = [64];
  readonly config = new Uint8Array(0);
  readonly #source: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly #clock: Clock;
  readonly #bytes = new Uint8Array(MAX_ENTROPY_BUFFER_BYTES);
  #driver: VirtioDriver | undefined;
  /** What is left of the period. It may be negative: the last buffer got its bytes. */
  #budget = ENTROPY_PERIOD_BYTES;
  /** When the period began, by the clock's `now`. */
  #begunMs = -Infinity;
  #nextPeriod: ClockTimer | undefined;

  constructor({ source, clock = new SystemClock() }: EntropyDeviceOptions = {}) {
    this.#source = source ?? ((bytes) => void crypto.getRandomValues(bytes));
    this.#clock = clock;
  }

  activate(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  notified(): void {
    const queue = this.#driver?.queue(0);
    if (queue === undefined || this.#nextPeriod !== undefined) return;
    this.#renewBudget();
    queue.batch(() => this.#fill(queue));
    if (this.#budget > 0) return;
    this.#nextPeriod = this.#clock.schedule(this.#begunMs + ENTROPY_PERIOD_MS, () => {
      this.#nextPeriod = undefined;
      this.notified();
    });
  }

  /** The budget stays: a guest that resets the device gets no more by it. */
  reset(): void {
    this.#driver = undefined;
    this.#nextPeriod?.cancel();
    this.#nextPeriod = undefined;
  }

  #fill(queue: Virtqueue): void {
    while (this.#budget > 0) {
      const buffer = queue.pop();
      if (buffer === undefined) return;
      const bytes = this.#bytes.subarray(0, Math.min(buffer.writableBytes, MAX_ENTROPY_BUFFER_BYTES));
      if (bytes.length > 0) this.#source(bytes);
      queue.push(buffer, buffer.write(0, bytes));
      this.#budget -= Math.max(bytes.length, MIN_ENTROPY_BUFFER_COST);
    }
  }

  #renewBudget(): void {
    const now = this.#clock.now();
    if (now < this.#begunMs + ENTROPY_PERIOD_MS) return;
    this.#begunMs = now;
    this.#budget = ENTROPY_PERIOD_BYTES;
  }
}
