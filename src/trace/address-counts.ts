/**
 * AddressCounts: reads, writes and latency of each address that a guest accesses. It is a hash
 * table in typed arrays, so that counting does not allocate. Its size is limited: a guest that
 * scans addresses fills it, and further addresses share one row.
 *
 * Called by: RequestStatistics, for each request; the default client, for each unclaimed one.
 */

import { hex, joinWords, typeName } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';
import { packedPciName } from '../io-request/pci-address.js';

/** How many addresses have a row of their own. */
export const MAX_ADDRESSES = 1024;
/** Places of the hash table. A power of two, and at most a quarter of them is used. */
const TABLE = 4 * MAX_ADDRESSES;
/** A key is the type and the two words of the address. */
const KEY_WORDS = 3;
/** The row that all further addresses share. It has no key, so no place of the table names it. */
const OTHERS = 0;

/** The counts of one address, as plain data. */
export interface AddressRow {
  /** `port 0x3f8`, `pci 00:1f.2`, … or `other addresses`. */
  readonly name: string;
  readonly reads: number;
  readonly writes: number;
  /** Number of timed requests, and their total time from PENDING to FREE. */
  readonly timed: number;
  readonly sumNs: number;
}

export class AddressCounts {
  /** The row at each place of the hash table. 0: the place is empty. */
  readonly #rowAt = new Int32Array(TABLE);
  readonly #keys = new Int32Array((MAX_ADDRESSES + 1) * KEY_WORDS);
  readonly #reads = new Float64Array(MAX_ADDRESSES + 1);
  readonly #writes = new Float64Array(MAX_ADDRESSES + 1);
  readonly #timed = new Float64Array(MAX_ADDRESSES + 1);
  readonly #sumNs = new Float64Array(MAX_ADDRESSES + 1);
  /** How many rows are used, apart from OTHERS. */
  #rows = 0;

  /**
   * Counts an access and returns the row of its address, for `time`. The address is two int32
   * words. For PCI, `low` is bus, device and function (`packPciAddress`), and `high` is 0.
   */
  count(type: number, low: number, high: number, isRead: boolean): number {
    const row = this.#find(type, low, high);
    const counts = isRead ? this.#reads : this.#writes;
    counts[row] = (counts[row] as number) + 1;
    return row;
  }

  /** Adds a request's time from PENDING to FREE to its row. */
  time(row: number, ns: number): void {
    this.#timed[row] = (this.#timed[row] as number) + 1;
    this.#sumNs[row] = (this.#sumNs[row] as number) + ns;
  }

  snapshot(): AddressRow[] {
    const rows: AddressRow[] = [];
    for (let row = 0; row <= this.#rows; row++) {
      const [reads, writes, timed, sumNs] = [this.#reads, this.#writes, this.#timed, this.#sumNs].map(
        (counts) => counts[row] as number,
      ) as [number, number, number, number];
      if (reads + writes > 0) rows.push({ name: this.#name(row), reads, writes, timed, sumNs });
    }
    return rows;
  }

  /**
   * The row of an address, by open addressing with linear probing. Adds a row for a new address.
   */
  #find(type: number, low: number, high: number): number {
    const keys = this.#keys;
    let place = hash(type, low, high);
    for (;;) {
      const row = this.#rowAt[place] as number;
      if (row === 0) break;
      const key = row * KEY_WORDS;
      if (keys[key] === type && keys[key + 1] === low && keys[key + 2] === high) return row;
      place = (place + 1) & (TABLE - 1);
    }
    if (this.#rows === MAX_ADDRESSES) return OTHERS;
    const row = ++this.#rows;
    this.#rowAt[place] = row;
    keys.set([type, low, high], row * KEY_WORDS);
    return row;
  }

  #name(row: number): string {
    if (row === OTHERS) return 'other addresses';
    const [type, low, high] = this.#keys.subarray(row * KEY_WORDS, (row + 1) * KEY_WORDS) as unknown as number[];
    return addressName(type as number, low as number, high as number);
  }
}

/** The name of a type and an address: `port 0x3f8`, `mmio 0xfed00000`, `pci 00:1f.2`. */
export function addressName(type: number, low: number, high: number): string {
  if (type === IoRequestType.PORT) return `port ${hex(joinWords(low, high), 3)}`;
  if (type === IoRequestType.PCI) return `pci ${packedPciName(low)}`;
  return `${typeName(type)} ${hex(joinWords(low, high))}`;
}

/**
 * A place in the table: multiplications and shifts mix all bits of the key. The factors are odd
 * constants of common hash functions. Any that mix as well would do.
 */
function hash(type: number, low: number, high: number): number {
  let h = Math.imul(low ^ (type << 20), 0x9e37_79b1) ^ Math.imul(high, 0x85eb_ca6b);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b_3c6d);
  return (h ^ (h >>> 13)) & (TABLE - 1);
}
