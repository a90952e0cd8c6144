/**
 * AddressMap: which client owns an access. The driver's rules, exactly: the newest client is asked first, inside a client
 * its newest range first; a range matches when it is of the access's type and contains the access whole, in u64
 * arithmetic that wraps; the first match wins. PCI, write-protect and unknown types match nothing.
 *
 * The ranges lie in one flat list in that order. A table over the 65,536 ports says where in the list the first range
 * that contains a port stands; no earlier one can contain an access that starts there, so the search begins at it.
 */

import { IoRequestType } from '../io-request/layout.js';
import { sameRange, type AddressRange } from './address-range.js';

/** Ranges that one VM's clients may have in all. */
export const MAX_RANGES = 0xffff;

const PORTS = 0x1_0000;
const NONE = MAX_RANGES;
const WORD = 0xffff_ffffn;

interface Entry<Client> {
  readonly client: Client;
  /** Newest first. */
  ranges: AddressRange[];
}

export class AddressMap<Client> {
  /** Newest first. */
  #entries: Entry<Client>[] = [];
  #owners: Client[] = [];
  #types = new Int32Array(0);
  /** Unsigned halves of starts and ends: start low, start high, end low, end high for each range. */
  #bounds = new Uint32Array(0);
  readonly #firstByPort = new Uint16Array(PORTS).fill(NONE);

  addClient(client: Client): void {
    this.#entries.unshift({ client, ranges: [] });
  }

  removeClient(client: Client): void {
    this.#entries = this.#entries.filter((entry) => entry.client !== client);
    this.#rebuild();
  }

  /** Newest first. */
  clients(): Client[] {
    return this.#entries.map((entry) => entry.client);
  }

  /** False when the client is not here or the VM's ranges are used up. The same range may be added more than once. */
  addRange(client: Client, range: AddressRange): boolean {
    const entry = this.#entries.find((candidate) => candidate.client === client);
    if (entry === undefined || this.#owners.length >= MAX_RANGES) return false;
    entry.ranges.unshift(range);
    this.#rebuild();
    return true;
  }

  /** Removes the newest equal range; false when there is none. */
  removeRange(client: Client, range: AddressRange): boolean {
    const ranges = this.#entries.find((entry) => entry.client === client)?.ranges ?? [];
    const index = ranges.findIndex((candidate) => sameRange(candidate, range));
    if (index < 0) return false;
    ranges.splice(index, 1);
    this.#rebuild();
    return true;
  }

  ranges(client: Client): readonly AddressRange[] {
    return this.#entries.find((entry) => entry.client === client)?.ranges ?? [];
  }

  /** All arguments are the int32 words of the slot. Undefined: the default client's. */
  find(type: number, addressLow: number, addressHigh: number, sizeLow: number, sizeHigh: number): Client | undefined {
    if (type !== IoRequestType.PORT && type !== IoRequestType.MMIO) return undefined;
    const low = addressLow >>> 0;
    const high = addressHigh >>> 0;
    // The last byte: address + size − 1 modulo 2^64, in halves.
    const sum = low + (sizeLow >>> 0);
    const borrow = sum === 0 ? -1 : 0;
    const carry = sum > 0x1_0000_0000 ? 1 : 0;
    const lastLow = (sum - 1) >>> 0;
    const lastHigh = (high + (sizeHigh >>> 0) + carry + borrow) >>> 0;
    const isPlainPort = type === IoRequestType.PORT && high === 0 && low < PORTS && lastHigh === 0 && lastLow >= low;
    const from = isPlainPort ? (this.#firstByPort[low] as number) : 0;
    return this.#scan(from, type, low, high, lastLow, lastHigh);
  }

  #scan(from: number, type: number, low: number, high: number, lastLow: number, lastHigh: number): Client | undefined {
    const types = this.#types;
    const bounds = this.#bounds;
    for (let i = from; i < types.length; i++) {
      if (types[i] !== type) continue;
      const at = i * 4;
      const startHigh = bounds[at + 1] as number;
      if (high < startHigh || (high === startHigh && low < (bounds[at] as number))) continue;
      const endHigh = bounds[at + 3] as number;
      if (lastHigh > endHigh || (lastHigh === endHigh && lastLow > (bounds[at + 2] as number))) continue;
      return this.#owners[i];
    }
    return undefined;
  }

  #rebuild(): void {
    const owners: Client[] = [];
    const ranges: AddressRange[] = [];
    for (const entry of this.#entries) {
      for (const range of entry.ranges) {
        owners.push(entry.client);
        ranges.push(range);
      }
    }
    this.#owners = owners;
    this.#types = Int32Array.from(ranges, (range) => range.type);
    this.#bounds = new Uint32Array(ranges.length * 4);
    this.#firstByPort.fill(NONE);
    for (let i = ranges.length - 1; i >= 0; i--) {
      const { type, start, end } = ranges[i] as AddressRange;
      this.#bounds.set([start & WORD, start >> 32n, end & WORD, end >> 32n].map(Number), i * 4);
      if (type === IoRequestType.PORT && start < PORTS)
        this.#firstByPort.fill(i, Number(start), end < PORTS ? Number(end) + 1 : PORTS);
    }
  }
}
