/**
 * DefaultClient: ACRN userspace's answer to what no other client claims: reads give all ones, writes are ignored, as on
 * a bus where nothing answers; PCI configuration requests go to the functions of the VM.
 */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import { hex, joinWords, typeName } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';

/** Different addresses whose unclaimed accesses are counted one by one; the rest share one count. */
export const MAX_UNCLAIMED_ADDRESSES = 1024;
/** The key of that one count. */
export const OTHER_ADDRESSES = 'other addresses';

/** PCI configuration space as the default client needs it; the whole u32 is the answer, whatever the size. */
export interface PciConfigSpaces {
  read(bus: number, device: number, pciFunction: number, register: number, size: number): number;
  write(bus: number, device: number, pciFunction: number, register: number, size: number, value: number): void;
}

export class DefaultClient implements IoClient {
  readonly name = 'default';
  readonly #pci: PciConfigSpaces;
  readonly #unclaimed = new Map<string, number>();

  constructor(pci: PciConfigSpaces) {
    this.#pci = pci;
  }

  /** Accesses that nobody claimed, by type and address. */
  get unclaimed(): ReadonlyMap<string, number> {
    return this.#unclaimed;
  }

  notify(request: AssignedRequest): void {
    if (request.type !== IoRequestType.PCI) {
      this.#count(request);
      request.finishAllOnes(request.ticket);
      return;
    }
    const { bus, device, pciFunction, register, size } = request;
    if (request.isRead) request.finish(request.ticket, this.#pci.read(bus, device, pciFunction, register, size) | 0);
    else {
      this.#pci.write(bus, device, pciFunction, register, size, request.valueLow >>> 0);
      request.finish(request.ticket);
    }
  }

  #count(request: AssignedRequest): void {
    const key = `${typeName(request.type)} ${hex(joinWords(request.addressLow, request.addressHigh))}`;
    const known = this.#unclaimed.get(key);
    const counted = known === undefined && this.#unclaimed.size >= MAX_UNCLAIMED_ADDRESSES ? OTHER_ADDRESSES : key;
    this.#unclaimed.set(counted, (this.#unclaimed.get(counted) ?? 0) + 1);
  }
}
