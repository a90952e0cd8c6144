/**
 * PciConfigAccess: combines a write to port 0xCF8 and an access to 0xCFC…0xCFF into one PCI
 * configuration request.
 *
 * As in the driver, a write of any size sets all 32 bits of the address register, and a read
 * returns all 32. Neither reaches a client. If the enable bit is clear, a data access is answered
 * at once, a read with all ones. The register survives a VM reset. Called by: VmRequests, which has
 * one per VM.
 */

import { Direction, IoRequestType } from '../io-request/layout.js';
import type { Slot } from '../io-request/slot.js';
import type { AssignedRequest } from './assigned-request.js';

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const CONFIG_DATA_END = 0xd00;
const ENABLE = 0x8000_0000;

/** What `handle` did with a port access. */
export const PciConfigResult = {
  /** Not a PCI configuration access: it goes to the clients unchanged. */
  PASSED: 0,
  /** The value is in the slot, which only has to be completed. */
  ANSWERED: 1,
  /** The slot now holds a PCI request. */
  REWRITTEN: 2,
} as const;

export class PciConfigAccess {
  /** The address register, an int32. */
  #address = 0;

  /** `pci_conf_addr`, unsigned. */
  get address(): number {
    return this.#address >>> 0;
  }

  /** Whether `handle` will answer this access itself. Its type must be PORT. */
  answers(request: AssignedRequest): boolean {
    const port = request.addressLow;
    if (request.addressHigh !== 0 || port < CONFIG_ADDRESS || port >= CONFIG_DATA_END) return false;
    return port === CONFIG_ADDRESS || (port >= CONFIG_DATA && (this.#address & ENABLE) === 0);
  }

  /**
   * `slot` is PENDING. `request` is the HSM's copy, of type PORT. Both may become the PCI request.
   */
  handle(slot: Slot, request: AssignedRequest): number {
    const port = request.addressLow;
    if (request.addressHigh !== 0) return PciConfigResult.PASSED;
    if (port === CONFIG_ADDRESS) {
      if (request.direction === Direction.WRITE) this.#address = request.valueLow;
      else if (request.direction === Direction.READ) slot.setValue(this.#address);
      return PciConfigResult.ANSWERED;
    }
    if (port < CONFIG_DATA || port >= CONFIG_DATA_END) return PciConfigResult.PASSED;
    const address = this.#address;
    if ((address & ENABLE) === 0) {
      if (request.direction === Direction.READ) slot.setValue(-1);
      return PciConfigResult.ANSWERED;
    }
    request.type = IoRequestType.PCI;
    request.bus = (address >> 16) & 0xff;
    request.device = (address >> 11) & 0x1f;
    request.pciFunction = (address >> 8) & 0x7;
    // Bits 27…24 of the address register are bits 11…8 of the register: extended configuration
    // space.
    request.register = (address & 0xfc) + ((address >> 16) & 0xf00) + (port - CONFIG_DATA);
    slot.rewriteAsPci(request.type, request.bus, request.device, request.pciFunction, request.register);
    return PciConfigResult.REWRITTEN;
  }
}
