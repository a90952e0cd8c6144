/**
 * AddressMap: the address ranges of one VM's clients, and the lookup of the client that owns an
 * access.
 *
 * Called by: VmClients.
 *
 * The rules are the driver's, exactly. The newest client comes first, and within a client its
 * newest range. A range matches if it has the access's type and contains the complete access, in
 * u64 arithmetic that wraps. The first match wins. PCI, write-protect and unknown types never
 * match.
 *
 * The ranges are one flat list in that order, with an index over it (range-index.ts). The list
 * itself is scanned only for rare accesses: those that wrap, lie above 2^44, or reach beyond both
 * ends of a tiny range or gap. A change marks the index as stale, and the next access rebuilds it.
 */

import { IoRequestType } from '../io-request/layout.js';
import { sameRange, type AddressRange } from './address-range.js';
import { NO_RANK, RangeIndex, SCAN_NEEDED } from './range-index.js';

/** Maximum number of ranges of one VM, over all clients: a rank is below NO_RANK. */
export const MAX_RANGES = NO_RANK;

/** Number of ports. Their index gets a table of this length: the segment of a port in one load. */
const PORTS = 0x1_0000;
/** Mask of the lower word of an address. */
const WORD = 0xffff_ffffn;

export class AddressMap<Client> {
  /** The ranges of each client, oldest client first, and of a client newest range first. */
  readonly #ranges = new Map<Client, AddressRange[]>();
  // The flat list. A range's position in it is its rank, which the indexes return.
  #owners: Client[] = [];
  #types = new Int32Array(0);
  /** Four unsigned words per range: start low, start high, end low, end high. */
  #bounds = new Uint32Array(0);
  #ports = new RangeIndex([]);
  #mmio = new RangeIndex([]);
  #rangeCount = 0;
  #isChanged = false;

  /** How many ranges may still be added. */
  get room(): number {
    return MAX_RANGES - this.#rangeCount;
  }

  /** `client` must not be here yet. */
  addClient(client: Client): void {
    this.#ranges.set(client, []);
  }

  removeClient(client: Client): void {
    this.#rangeCount -= this.ranges(client).length;
    this.#ranges.delete(client);
    this.#isChanged = true;
  }

  has(client: Client): boolean {
    return this.#ranges.has(client);
  }

  /** Newest first. */
  clients(): Client[] {
    return [...this.#ranges.keys()].reverse();
  }

  /**
   * Returns false if the client is unknown or the VM has MAX_RANGES ranges. The same range may be
   * added more than once.
   */
  addRange(client: Client, range: AddressRange): boolean {
    const ranges = this.#ranges.get(client);
    if (ranges === undefined || this.room === 0) return false;
    ranges.unshift(range);
    this.#rangeCount++;
    this.#isChanged = true;
    return true;
  }

  /** Removes the newest equal range. Returns false if no range is equal. */
  removeRange(client: Client, range: AddressRange): boolean {
    const ranges = this.#ranges.get(client) ?? [];
    const index = ranges.findIndex((candidate) => sameRange(candidate, range));
    if (index < 0) return false;
    ranges.splice(index, 1);
    this.#rangeCount--;
    this.#isChanged = true;
    return true;
  }

  /** Newest first. */
  ranges(client: Client): readonly AddressRange[] {
    return this.#ranges.get(client) ?? [];
  }

  /**
   * Takes the int32 words of the slot. Undefined if no range matches: the access is the default
   * client's.
   */
  find(type: number, addressLow: number, addressHigh: number, sizeLow: number, sizeHigh: number): Client | undefined {
    if (type !== IoRequestType.PORT && type !== IoRequestType.MMIO) return undefined;
    const low = addressLow >>> 0;
    const high = addressHigh >>> 0;
    // The last byte: address + size − 1 modulo 2^64, as two words.
    const sum = low + (sizeLow >>> 0);
    const borrow = sum === 0 ? -1 : 0;
    const carry = sum > 0x1_0000_0000 ? 1 : 0;
    const lastLow = (sum - 1) >>> 0;
    const lastHigh = (high + (sizeHigh >>> 0) + carry + borrow) >>> 0;
    if (this.#isChanged) this.#rebuild();
    const index = type === IoRequestType.PORT ? this.#ports : this.#mmio;
    const rank = index.find(addressLow, addressHigh, lastLow | 0, lastHigh | 0);
    if (rank !== SCAN_NEEDED) return rank === NO_RANK ? undefined : this.#owners[rank];
    return this.#scan(type, low, high, lastLow, lastHigh);
  }

  /** The driver's own search: the first range of the list that contains the access. */
  #scan(type: number, low: number, high: number, lastLow: number, lastHigh: number): Client | undefined {
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
    for (const client of this.clients()) {
      for (const range of this.ranges(client)) {
        owners.push(client);
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
