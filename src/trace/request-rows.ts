/**
 * RequestRows: the rows in which a VM's requests are counted. There is one for each range of each
 * client, and one for each client and type for requests outside of all ranges. Sums by client and
 * by type are computed for a snapshot. The number of rows is limited.
 *
 * Called by: RequestStatistics, for each request.
 */

import { hex, joinWords, typeName } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';
import { LatencyHistogram } from './latency-histogram.js';
import { COUNTED_SIZES, mergeRows, type StatisticsRow } from './statistics-snapshot.js';

/**
 * How many ranges have a row of their own, of all clients together. Requests in further ranges
 * count as outside of all ranges.
 */
export const MAX_COUNTED_RANGES = 256;
/** How many clients have rows of their own. Further clients share one row for each type. */
export const MAX_COUNTED_CLIENTS = 128;
const OTHER_CLIENTS = 'other clients';
/** For requests with an unknown type: the page may hold any number. */
const OTHER_TYPES = 'other types';
/** Number of known types. It is also the type of a row for unknown ones. */
const TYPES = IoRequestType.WRITE_PROTECT + 1;
const SIZES = COUNTED_SIZES.length;

/** The fields of the HSM's AddressRange that the rows need. Both ends are inclusive. */
export interface CountedRange {
  readonly type: number;
  readonly start: bigint;
  readonly end: bigint;
}

/** The counts and latencies of the requests of one range, or of one client and type. */
export class RequestRow {
  // The stages of a request: see `Stage` in statistics-snapshot.ts.
  readonly wait = new LatencyHistogram();
  readonly work = new LatencyHistogram();
  readonly wake = new LatencyHistogram();
  readonly total = new LatencyHistogram();
  readonly client: string;
  readonly type: number;
  /**
   * First and last address. An empty interval for a row without a range. Inexact above 2^53, where
   * no guest has an address.
   */
  readonly first: number;
  readonly last: number;
  /** Reads by size, then writes by size, in the order of COUNTED_SIZES. */
  readonly #counts = new Float64Array(2 * SIZES);

  constructor(client: string, type: number, first = 1, last = 0) {
    this.client = client;
    this.type = type;
    this.first = first;
    this.last = last;
  }

  count(size: number, isRead: boolean): void {
    const at = (isRead ? 0 : SIZES) + (size === 1 ? 0 : size === 2 ? 1 : size === 4 ? 2 : size === 8 ? 3 : 4);
    this.#counts[at] = (this.#counts[at] as number) + 1;
  }

  get typeName(): string {
    return this.type < TYPES ? typeName(this.type) : OTHER_TYPES;
  }

  get rangeName(): string {
    if (this.first > this.last) return `${this.client}: ${this.typeName}`;
    const end = this.first === this.last ? '' : `…${hex(this.last)}`;
    return `${this.client}: ${this.typeName} ${hex(this.first)}${end}`;
  }

  snapshot(): Omit<StatisticsRow, 'name'> {
    const at = (index: number): number => this.#counts[index] as number;
    const sizes = COUNTED_SIZES.map((size, i) => ({ size, reads: at(i), writes: at(SIZES + i) }));
    const sum = (of: (size: (typeof sizes)[number]) => number): number => sizes.reduce((all, one) => all + of(one), 0);
    return {
      reads: sum(({ reads }) => reads),
      writes: sum(({ writes }) => writes),
      sizes: sizes.filter(({ reads, writes }) => reads + writes > 0),
      stages: {
        wait: this.wait.snapshot(),
        work: this.work.snapshot(),
        wake: this.wake.snapshot(),
        total: this.total.snapshot(),
      },
    };
  }
}

interface ClientRows {
  readonly name: string;
  /** By type, for requests outside of the ranges. The last row is for unknown types. */
  readonly rest: (RequestRow | undefined)[];
  readonly ranges: RequestRow[];
}

export class RequestRows {
  readonly #clients = new Map<string, ClientRows>();
  readonly #rows: RequestRow[] = [];
  /** How many ranges have a row. */
  #ranges = 0;
  /** The rows of the last request's client, which the next request often has, too. */
  #last: ClientRows | undefined;

  /**
   * The row of a request. Calls `rangesOf` if its address is in none of the client's ranges that
   * have a row. For types other than PORT and MMIO the address is ignored: they have no ranges.
   */
  find(
    client: string,
    type: number,
    addressLow: number,
    addressHigh: number,
    rangesOf: () => readonly CountedRange[],
  ): RequestRow {
    const rows = this.#last?.name === client ? this.#last : (this.#last = this.#ofClient(client));
    if (type === IoRequestType.PORT || type === IoRequestType.MMIO) {
      const address = joinWords(addressLow, addressHigh);
      for (const row of rows.ranges) if (row.type === type && address >= row.first && address <= row.last) return row;
      if (this.#ranges < MAX_COUNTED_RANGES && rows.name !== OTHER_CLIENTS) {
        const added = this.#addRange(rows, type, address, rangesOf());
        if (added !== undefined) return added;
      }
    }
    const kind = type >= 0 && type < TYPES ? type : TYPES;
    return (rows.rest[kind] ??= this.#add(new RequestRow(rows.name, kind)));
  }

  /** The rows by type, by client and by range. Rows of the same name are merged. */
  snapshot(): { readonly types: StatisticsRow[]; readonly clients: StatisticsRow[]; readonly ranges: StatisticsRow[] } {
    const rows = this.#rows.map((row) => ({ row, counts: row.snapshot() }));
    const by = (nameOf: (row: RequestRow) => string): StatisticsRow[] =>
      mergeRows(rows.map(({ row, counts }) => ({ name: nameOf(row), ...counts })));
    return {
      types: by(({ typeName }) => typeName),
      clients: by(({ client }) => client),
      ranges: by(({ rangeName }) => rangeName),
    };
  }

  #ofClient(client: string): ClientRows {
    const name = this.#clients.has(client) || this.#clients.size < MAX_COUNTED_CLIENTS ? client : OTHER_CLIENTS;
    let rows = this.#clients.get(name);
    if (rows === undefined) this.#clients.set(name, (rows = { name, rest: [], ranges: [] }));
    return rows;
  }

  #addRange(rows: ClientRows, type: number, address: number, ranges: readonly CountedRange[]): RequestRow | undefined {
    const range = ranges.find((one) => one.type === type && address >= one.start && address <= one.end);
    if (range === undefined) return undefined;
    this.#ranges++;
    const row = this.#add(new RequestRow(rows.name, type, Number(range.start), Number(range.end)));
    rows.ranges.push(row);
    return row;
  }

  #add(row: RequestRow): RequestRow {
    this.#rows.push(row);
    return row;
  }
}
