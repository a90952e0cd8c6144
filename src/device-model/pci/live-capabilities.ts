/**
 * LiveCapabilities: the capabilities of a card that are registers of the card, not only bytes to
 * read. Guests access them in configuration space.
 *
 * Called by: CardFunction. Threads: the Service VM's.
 *
 * A configuration access is answered at once. So a card whose registers lie in another thread has
 * no live capabilities: the guest reads the bytes of its description.
 */

import type { AccessSize } from '../device.js';
import type { ReportDeviceError } from '../device-client.js';
import { capabilityBytes, OWN_CAPABILITIES } from './card-description.js';
import { FIRST_LIVE_BYTE, type PciCard } from './pci-card.js';

interface Live {
  /** Index in `PciDescription.capabilities`. */
  readonly index: number;
  /** The registers of configuration space: `first` to `end - 1`. */
  readonly first: number;
  readonly end: number;
}

export class LiveCapabilities {
  readonly #card: PciCard;
  readonly #reportError: ReportDeviceError;
  readonly #all: readonly Live[];

  constructor(card: PciCard, reportError: ReportDeviceError) {
    this.#card = card;
    this.#reportError = reportError;
    let at = OWN_CAPABILITIES;
    this.#all = (card.pci.capabilities ?? []).flatMap(({ bytes, isLive = false }, index) => {
      const start = at;
      at += capabilityBytes(bytes.length);
      return isLive ? [{ index, first: start + FIRST_LIVE_BYTE, end: at }] : [];
    });
  }

  /** Undefined: the register is not one of a live capability. Accesses are aligned (PciBus). */
  read(register: number, size: AccessSize): number | undefined {
    const live = this.#find(register);
    if (live === undefined || this.#card.readCapability === undefined) return undefined;
    try {
      return this.#card.readCapability(live.index, FIRST_LIVE_BYTE + register - live.first, size) >>> 0;
    } catch (error) {
      this.#reportError(this.#card.name, error, 'read');
      return 0xffff_ffff;
    }
  }

  /** Returns false if the register is not one of a live capability. */
  write(register: number, size: AccessSize, value: number): boolean {
    const live = this.#find(register);
    if (live === undefined || this.#card.writeCapability === undefined) return false;
    try {
      this.#card.writeCapability(live.index, FIRST_LIVE_BYTE + register - live.first, size, value);
    } catch (error) {
      this.#reportError(this.#card.name, error, 'write');
    }
    return true;
  }

  #find(register: number): Live | undefined {
    return this.#all.find(({ first, end }) => register >= first && register < end);
  }
}
