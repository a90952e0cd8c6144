/**
 * DefaultClient: the I/O client of the accesses that no other client claims.
 *
 * Called by: the HSM's worker, in the Service VM's thread.
 *
 * Reads give all ones and writes are ignored, as on a bus where nothing answers. PCI configuration
 * requests go to the functions of the VM. In ACRN the default client is the userspace program
 * `acrn-dm`, not the kernel. So it is part of the device model here too.
 */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import { truncate } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';
import { AddressCounts } from '../trace/address-counts.js';

/**
 * PCI configuration space as the default client needs it: devices/pci/pci-bus.ts. `size` comes from
 * the page and may be any number. `read` returns 32 bits, of which the hypervisor takes the low
 * `size` bytes. A written value is truncated to `size` bytes already.
 */
export interface PciConfigSpaces {
  read(bus: number, device: number, pciFunction: number, register: number, size: number): number;
  write(bus: number, device: number, pciFunction: number, register: number, size: number, value: number): void;
}

/** The ticket in an answer is the number of the request's assignment (hsm/assigned-request.ts). */
export class DefaultClient implements IoClient {
  readonly name = 'default';
  readonly #pci: PciConfigSpaces;
  readonly #unclaimed = new AddressCounts();

  constructor(pci: PciConfigSpaces) {
    this.#pci = pci;
  }

  /**
   * Unclaimed accesses so far, by type and address: `port 0x3f8`, …, and `other addresses` for
   * those beyond the limit of its table (trace/address-counts.ts).
   */
  get unclaimed(): ReadonlyMap<string, number> {
    return new Map(this.#unclaimed.snapshot().map(({ name, reads, writes }) => [name, reads + writes]));
  }

  notify(request: AssignedRequest): void {
    if (request.type !== IoRequestType.PCI) {
      this.#unclaimed.count(request.type, request.addressLow, request.addressHigh, request.isRead);
      request.finishAllOnes(request.ticket);
      return;
    }
    const { bus, device, pciFunction, register, size } = request;
    // `| 0`: an answer is an int32 word.
    if (request.isRead) request.finish(request.ticket, this.#pci.read(bus, device, pciFunction, register, size) | 0);
    else {
      this.#pci.write(bus, device, pciFunction, register, size, truncate(request.valueLow, size));
      request.finish(request.ticket);
    }
  }
}
