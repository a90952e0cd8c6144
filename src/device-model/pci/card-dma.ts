/**
 * GuestDma: a card's access to guest memory, within the limits that hardware has: the guest must
 * have made the card a bus master, and only RAM answers.
 *
 * Called by: the card, a PciCard, through its handle.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { CardDma } from './pci-card.js';

export interface GuestDmaOptions {
  readonly memory: GuestMemory;
  readonly isBusMaster: () => boolean;
  /** No memory answered. The callee sets the status bit "received master abort". */
  readonly onAbort: () => void;
  /** A call was refused, for this reason or another. Default: only counted here. */
  readonly onRefused?: () => void;
}

export class GuestDma implements CardDma {
  readonly #options: GuestDmaOptions;
  #refused = 0;

  constructor(options: GuestDmaOptions) {
    this.#options = options;
  }

  get refused(): number {
    return this.#refused;
  }

  read(address: number, length: number): Uint8Array<ArrayBuffer> | undefined {
    if (!this.#isAllowed(address, length)) return undefined;
    const { memory } = this.#options;
    const { failures } = memory;
    const bytes = memory.read(address, length);
    return this.#isAnswered(failures) ? bytes : undefined;
  }

  readInto(address: number, target: Uint8Array): boolean {
    if (!this.#isAllowed(address, target.length)) return false;
    const { memory } = this.#options;
    const { failures } = memory;
    memory.readInto(address, target);
    return this.#isAnswered(failures);
  }

  write(address: number, bytes: Uint8Array): boolean {
    if (!this.#isAllowed(address, bytes.length)) return false;
    const { memory } = this.#options;
    const { failures } = memory;
    memory.write(address, bytes);
    return this.#isAnswered(failures);
  }

  /** `failures`: of the memory, before the access. */
  #isAnswered(failures: number): boolean {
    const { memory, onAbort } = this.#options;
    if (memory.failures === failures) return true;
    onAbort();
    this.#refuse();
    return false;
  }

  #refuse(): void {
    this.#refused++;
    this.#options.onRefused?.();
  }

  #isAllowed(address: number, length: number): boolean {
    const { memory, isBusMaster, onAbort } = this.#options;
    if (isBusMaster()) {
      if (Number.isSafeInteger(length) && memory.contains(address, length)) return true;
      onAbort();
    }
    this.#refuse();
    return false;
  }
}
