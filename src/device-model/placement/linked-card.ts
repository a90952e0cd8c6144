/**
 * LinkedCard: a PCI card in a thread of its own, as the device of that thread. The registers of its
 * base address registers (BARs) lie in one range, each BAR at an address of its own, so that the
 * place of a BAR in the guest does not matter here.
 *
 * Called by: device-thread.ts. The card's handle works on shared memory: DMA on the RAM itself,
 * interrupts through the CardLink. Reports are messages of the thread.
 * Threads: the card's own.
 */

import { mmio, type AddressRange } from '../../hsm/address-range.js';
import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { AccessSize, Device } from '../device.js';
import { BARS } from '../pci/card-description.js';
import { GuestDma } from '../pci/card-dma.js';
import type { CardDoorbell, CardHandle, PciCard, PciDescription } from '../pci/pci-card.js';
import type { PciAddress } from '../pci-function.js';
import { peekCard, type RegisterValues } from '../register-peek.js';
import type { CardLink } from './card-link.js';

/** Between the addresses of two BARs: twice the largest one. */
const BAR_SPACING = 2 ** 41;
/** The addresses of all BARs. */
export const BAR_SPACE: AddressRange = mmio(0, BARS * BAR_SPACING);

/** The address of `offset` in BAR number `bar`. */
export function barAddress(bar: number, offset: number): number {
  return bar * BAR_SPACING + offset;
}

/** What the Service VM's thread must know of a card. Survives structured cloning. */
export interface CardFacts {
  readonly pci: PciDescription;
  readonly doorbells: readonly CardDoorbell[];
}

export interface LinkedCardOptions {
  readonly card: PciCard;
  readonly address: PciAddress;
  readonly link: CardLink;
  readonly memory: GuestMemory;
  readonly report: (message: string) => void;
}

export class LinkedCard implements Omit<Device, 'close'> {
  readonly name: string;
  readonly #card: PciCard;
  readonly #link: CardLink;

  /** Throws what the card's `connect` throws. */
  constructor({ card, address, link, memory, report }: LinkedCardOptions) {
    this.name = card.name;
    this.#card = card;
    this.#link = link;
    card.connect?.(handleOf({ card, address, link, memory, report }));
  }

  get facts(): CardFacts {
    const { pci, doorbells = [] } = this.#card;
    // Configuration accesses are answered in the Service VM's thread (pci/live-capabilities.ts).
    const capabilities = (pci.capabilities ?? []).map((capability) => ({ ...capability, isLive: false }));
    return { pci: { ...pci, capabilities }, doorbells };
  }

  read(offset: number, size: AccessSize): number | Promise<number> {
    return this.#card.read(Math.floor(offset / BAR_SPACING), offset % BAR_SPACING, size);
  }

  write(offset: number, size: AccessSize, value: number): void | Promise<void> {
    return this.#card.write(Math.floor(offset / BAR_SPACING), offset % BAR_SPACING, size, value);
  }

  reset(): void {
    this.#link.takeEpoch();
    this.#card.reset?.();
  }

  close(): void | Promise<void> {
    return this.#card.close?.();
  }

  /** The doorbells that were rung. `guard` is around each call of the card. */
  takeRung(guard: (act: () => void) => void): void {
    this.#link.takeRung((doorbell) => guard(() => this.#card.rung?.(doorbell)));
  }

  peekAll(): RegisterValues {
    return peekCard(this.#card);
  }
}

function handleOf({ card, address, link, memory, report }: LinkedCardOptions): CardHandle {
  const vectors = Math.max(1, card.pci.msi ?? 0, card.pci.msix ?? 0);
  return {
    address,
    dma: new GuestDma({
      memory,
      isBusMaster: () => link.isBusMaster,
      onAbort: () => link.abort(),
      onRefused: () => link.countRefused(),
    }),
    memory,
    get isBusMaster() {
      return link.isBusMaster;
    },
    get isMsixEnabled() {
      return link.isMsixEnabled;
    },
    interrupt: (vector = 0) => {
      if (!Number.isInteger(vector) || vector < 0 || vector >= vectors)
        throw new RangeError(`interrupt ${vector} of a card with ${vectors}`);
      if (link.hasMessages) link.postMessage(vector);
      else link.setLevel(true);
    },
    raise: () => link.setLevel(true),
    lower: () => link.setLevel(false),
    report,
  };
}
