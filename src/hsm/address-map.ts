/**
 * AddressMap: which client owns an access. The driver's rules, exactly: the newest client is asked first, inside a client
 * its newest range first; a range matches when it is of the access's type and contains the access whole, in u64
 * arithmetic that wraps; the first match wins. PCI, write-protect and unknown types match nothing.
 *
 * The ranges lie in one flat list in that order, and an index over it answers at once (range-index.ts). The list itself
 * is walked only for what no device sees: accesses that wrap, lie above 2^44, or contain a whole tiny range.
 * A change is taken over at the next access.
 */

import { IoRequestType } from '../io-request/layout.js';
import { sameRange, type AddressRange } from './address-range.js';
import { NOBODY, RangeIndex, WALK } from './range-index.js';

/** Ranges that one VM's clients may have in all. */
export const MAX_RANGES = NOBODY;

const PORTS = 0x1_0000;
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
  #ports = new RangeIndex([]);
  #mmio = new RangeIndex([]);
  #rangeCount = 0;
  #isChanged = false;

  addClient(client: Client): void {
    this.#entries.unshift({ client, ranges: [] });
  }

  removeClient(client: Client): void {
    this.#entries = this.#entries.filter((entry) => entry.client !== client);
    this.#rangeCount = this.#entries.reduce((sum, { ranges }) => sum + ranges.length, 0);
    this.#isChanged = true;
  }

  /** Newest first. */
  clients(): Client[] {
    return this.#entries.map((entry) => entry.client);
  }

  /** False when the client is not here or the VM's ranges are used up. The same range may be added more than once. */
  addRange(client: Client, range: AddressRange): boolean {
    const entry = this.#entries.find((candidate) => candidate.client === client);
    if (entry === undefined || this.#rangeCount >= MAX_RANGES) return false;
    entry.ranges.unshift(range);
    this.#rangeCount++;
    this.#isChanged = true;
    return true;
  }

  /** Removes the newest equal range; false when there is none. */
  removeRange(client: Client, range: AddressRange): boolean {
    const ranges = this.#entries.find((entry) => entry.client === client)?.ranges ?? [];
    const index = ranges.findIndex((candidate) => sameRange(candidate, range));
    if (index < 0) return false;
    ranges.splice(index, 1);
    this.#rangeCount--;
    this.#isChanged = true;
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
    if (this.#isChanged) this.#rebuild();
    const index = type === IoRequestType.PORT ? this.#ports : this.#mmio;
    const rank = index.find(addressLow, addressHigh, lastLow | 0, lastHigh | 0);
    if (rank !== WALK) return rank === NOBODY ? undefined : this.#owners[rank];
    return this.#walk(type, low, high, lastLow, lastHigh);
  }

  #walk(type: number, low: number, high: number, lastLow: number, lastHigh: number): Client | undefined {
    const types = this.#types;
    const bounds = this.#bounds;
    for (let i = 0; i < types.length; i++) {
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
    ranges.forEach(({ start, end }, i) =>
      this.#bounds.set([start & WORD, start >> 32n, end & WORD, end >> 32n].map(Number), i * 4),
    );
    const ranked = ranges.map(({ type, start, end }, rank) => ({ type, start, end, rank }));
    this.#ports = new RangeIndex(
      ranked.filter(({ type }) => type === IoRequestType.PORT),
      PORTS,
    );
    this.#mmio = new RangeIndex(ranked.filter(({ type }) => type === IoRequestType.MMIO));
    this.#isChanged = false;
  }
}
