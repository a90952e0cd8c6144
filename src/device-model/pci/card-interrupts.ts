/**
 * CardInterrupts: a card's interrupts in the kind that the guest has enabled: the pin (INTx), MSI
 * or MSI-X.
 *
 * Called by: CardFunction, for the card and after each write to configuration space.
 * Threads: the Service VM's.
 *
 * The state of MSI is in configuration space itself, that of MSI-X there and in its table. A
 * message is a write to memory, so without bus mastering, or to an address that is not an APIC's,
 * none arrives. Such messages are counted.
 *
 * Source: PCI Local Bus Specification 3.0, sections 6.2.2 to 6.2.4 and 6.8.
 */

import type { InterruptLine } from '../device.js';
import { PciRegister, type PciConfigSpace } from '../devices/pci/pci-config-space.js';
import { Command, Msi, MsiControl, MSIX_CONTROL, MsixControl, Status } from './card-config.js';
import { MAX_MSI_VECTORS } from './card-description.js';
import { MsixTable } from './msix-table.js';
import type { PciDescription } from './pci-card.js';

export interface CardInterruptsOptions {
  readonly name: string;
  readonly pci: PciDescription;
  readonly space: PciConfigSpace;
  /** The interrupt that the pin is routed to. */
  readonly pin: InterruptLine;
  /** Sends a message. Returns false if the address is not an APIC's. */
  readonly injectMsi: InjectMessage;
}

/** A write of `data` to `address`, 32 bits each. `vector`: which of the card's messages it is. */
export type InjectMessage = (address: number, data: number, vector: number) => boolean;

/** What became of one message of a card. */
export interface MessageCounts {
  /** The number of the message within the card. */
  readonly vector: number;
  readonly sent: number;
  /** Whether it waits now, because the guest has masked it. */
  readonly isPending: boolean;
  /** How often it went nowhere: without bus mastering, or to an address that is not an APIC's. */
  readonly refused: number;
}

export class CardInterrupts {
  /** Undefined: the card has no MSI-X. */
  readonly table: MsixTable | undefined;
  readonly #options: CardInterruptsOptions;
  readonly #vectors: number;
  /** What the card drives, whatever the guest has enabled. */
  #level = false;
  /** How often each message was sent, and how often it went nowhere. */
  readonly #sent: Float64Array;
  readonly #refused: Float64Array;

  constructor(options: CardInterruptsOptions) {
    const { msi = 0, msix } = options.pci;
    this.#options = options;
    this.#vectors = Math.max(1, msi, msix ?? 0);
    this.#sent = new Float64Array(this.#vectors);
    this.#refused = new Float64Array(this.#vectors);
    this.table = msix === undefined ? undefined : new MsixTable(options.name, msix, () => this.update());
  }

  /** How many messages went nowhere. */
  get refused(): number {
    return this.#refused.reduce((sum, count) => sum + count, 0);
  }

  /** The messages that were sent, refused or are pending, by number. */
  get messages(): readonly MessageCounts[] {
    return Array.from(this.#sent, (sent, vector) => ({
      vector,
      sent,
      isPending: this.#isPending(vector),
      refused: this.#refused[vector] ?? 0,
    })).filter(({ sent, isPending, refused }) => sent > 0 || isPending || refused > 0);
  }

  /** How often message `vector` was sent. */
  sent(vector: number): number {
    return this.#sent[vector] ?? 0;
  }

  /** CardHandle.interrupt. Throws RangeError for a vector that the card does not have. */
  interrupt(vector: number): void {
    if (!Number.isInteger(vector) || vector < 0 || vector >= this.#vectors)
      throw new RangeError(`interrupt ${vector} of a card with ${this.#vectors}`);
    if (this.isMsixEnabled) this.#postMsix(vector);
    else if (this.#isMsiEnabled) this.#postMsi(vector);
    else this.setLevel(true);
  }

  /** The level that the card drives its pin to, whatever the guest has enabled. */
  setLevel(level: boolean): void {
    this.#level = level;
    this.update();
  }

  /** Applies what the guest may have changed: enabled kinds and masks. */
  update(): void {
    const { space, pin } = this.#options;
    const status = space.read(PciRegister.STATUS, 2);
    const next = this.#level ? status | Status.INTERRUPT : status & ~Status.INTERRUPT;
    if (next !== status) space.set(PciRegister.STATUS, 2, next);
    const isDisabled = (space.read(PciRegister.COMMAND, 2) & Command.PIN_DISABLE) !== 0;
    pin.set(this.#level && !isDisabled && !this.#isMsiEnabled && !this.isMsixEnabled);
    if (this.isMsixEnabled) {
      if (!this.#isMsixMasked) this.table?.flush(this.#send);
    } else if (this.#isMsiEnabled) this.#flushMsi();
  }

  /** Called after a reset of configuration space: masks the table, and lowers the pin. */
  reset(): void {
    this.table?.reset();
    this.setLevel(false);
  }

  get #isMsiEnabled(): boolean {
    const { pci, space } = this.#options;
    return pci.msi !== undefined && (space.read(Msi.CONTROL, 2) & MsiControl.ENABLE) !== 0;
  }

  /** Whether interrupts are messages and not the pin. */
  get areMessages(): boolean {
    return this.isMsixEnabled || this.#isMsiEnabled;
  }

  get isMsixEnabled(): boolean {
    return this.table !== undefined && (this.#options.space.read(MSIX_CONTROL, 2) & MsixControl.ENABLE) !== 0;
  }

  get #isMsixMasked(): boolean {
    return (this.#options.space.read(MSIX_CONTROL, 2) & MsixControl.MASKED) !== 0;
  }

  /** A card with fewer messages for MSI-X than for MSI uses them in turn. */
  #postMsix(vector: number): void {
    const { msix = 1 } = this.#options.pci;
    this.table?.post(vector % msix, this.#isMsixMasked, this.#send);
  }

  /** A guest may grant fewer messages than the card has. They are used in turn. */
  #postMsi(vector: number): void {
    const { space } = this.#options;
    const message = vector % this.#granted;
    const bit = 1 << message;
    if ((space.read(Msi.MASK, 4) & bit) !== 0) space.set(Msi.PENDING, 4, space.read(Msi.PENDING, 4) | bit);
    else this.#sendMsi(message);
  }

  #flushMsi(): void {
    const { space } = this.#options;
    let due = space.read(Msi.PENDING, 4) & ~space.read(Msi.MASK, 4);
    while (due !== 0) {
      const message = 31 - Math.clz32(due);
      due &= ~(1 << message);
      space.set(Msi.PENDING, 4, space.read(Msi.PENDING, 4) & ~(1 << message));
      this.#sendMsi(message % this.#granted);
    }
  }

  /** Messages of MSI that the guest has granted: a power of two. */
  get #granted(): number {
    const { pci, space } = this.#options;
    const log = (space.read(Msi.CONTROL, 2) >>> MsiControl.ENABLED_SHIFT) & 7;
    return Math.min(2 ** log, pci.msi ?? 1, MAX_MSI_VECTORS);
  }

  /** The low bits of the data are the message's number. */
  #sendMsi(message: number): void {
    const { space } = this.#options;
    const data = (space.read(Msi.DATA, 2) & ~(this.#granted - 1)) | message;
    this.#send(message, space.read(Msi.ADDRESS + 4, 4), space.read(Msi.ADDRESS, 4), data);
  }

  #isPending(vector: number): boolean {
    const { pci, space } = this.#options;
    const isPendingMsi =
      pci.msi !== undefined && vector < MAX_MSI_VECTORS && (space.read(Msi.PENDING, 4) >>> vector) % 2 === 1;
    return isPendingMsi || this.table?.isPending(vector) === true;
  }

  /** A message is below 4 GiB: no address above is an APIC's. */
  readonly #send = (vector: number, addressHigh: number, address: number, data: number): void => {
    const { space, injectMsi } = this.#options;
    const isBusMaster = (space.read(PciRegister.COMMAND, 2) & Command.BUS_MASTER) !== 0;
    const isSent = isBusMaster && addressHigh === 0 && injectMsi(address, data, vector);
    const counts = isSent ? this.#sent : this.#refused;
    counts[vector] = (counts[vector] as number) + 1;
  };
}
