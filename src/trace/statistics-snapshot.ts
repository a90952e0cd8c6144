/**
 * StatisticsSnapshot: what a VM's requests were until a moment, as plain data: it can be sent,
 * stored, added to another one and subtracted from a later one. Nothing in it is a maximum or a
 * percentile, which could not; those are computed from the latencies by `percentileNs`.
 */

import type { AddressRow } from './address-counts.js';
import { addLatency, NO_LATENCY, type LatencySnapshot } from './latency-histogram.js';

/** The parts of a request's time, from one move to the next. */
export const STAGES = ['wait', 'work', 'wake', 'total'] as const;
/**
 * `wait`: PENDING → PROCESSING, for the worker. `work`: → COMPLETE, the client. `wake`: → FREE, the
 * vCPU. `total`: all.
 */
export type Stage = (typeof STAGES)[number];
export type Stages = Readonly<Record<Stage, LatencySnapshot>>;

/** Access sizes that are counted; 0 stands for all others. */
export const COUNTED_SIZES = [1, 2, 4, 8, 0] as const;

export interface SizeCount {
  readonly size: (typeof COUNTED_SIZES)[number];
  readonly reads: number;
  readonly writes: number;
}

export interface StatisticsRow {
  readonly name: string;
  readonly reads: number;
  readonly writes: number;
  /** Sizes that occurred, in the order of COUNTED_SIZES. */
  readonly sizes: readonly SizeCount[];
  /**
   * Of the requests that were finished and timed. A request that the HSM answered itself has no
   * `wait` and no `work`.
   */
  readonly stages: Stages;
}

/** Errors by whose they are. */
export interface ErrorRow {
  readonly name: string;
  /** Times that a client or device threw, or gave no answer. */
  readonly errors: number;
  /** Times that it took too long and was taken out. */
  readonly late: number;
}

/** Each list is sorted by requests, most first, then by name. */
export interface StatisticsSnapshot {
  readonly requests: number;
  /** Accesses that ended in a fault or were withdrawn. */
  readonly guestErrors: number;
  readonly types: readonly StatisticsRow[];
  readonly clients: readonly StatisticsRow[];
  /** By client and range; what lies in no range of its client has its client's name and type. */
  readonly ranges: readonly StatisticsRow[];
  readonly addresses: readonly AddressRow[];
  /** Addresses that no client claims. */
  readonly unclaimed: readonly AddressRow[];
  readonly clientErrors: readonly ErrorRow[];
}

export const NO_STAGES: Stages = { wait: NO_LATENCY, work: NO_LATENCY, wake: NO_LATENCY, total: NO_LATENCY };

/** The requests of both. */
export function mergeStatistics(a: StatisticsSnapshot, b: StatisticsSnapshot): StatisticsSnapshot {
  return add(a, b, 1);
}

/** What came after `earlier`, which is part of `later`. */
export function diffStatistics(later: StatisticsSnapshot, earlier: StatisticsSnapshot): StatisticsSnapshot {
  return add(later, earlier, -1);
}

/** Rows of the same name as one, in the order of a snapshot. */
export function mergeRows(rows: readonly StatisticsRow[]): StatisticsRow[] {
  return addRows(rows, [], 1, addRow, isUsed);
}

type Sign = 1 | -1;

function add(a: StatisticsSnapshot, b: StatisticsSnapshot, sign: Sign): StatisticsSnapshot {
  const rows = (list: 'types' | 'clients' | 'ranges'): StatisticsRow[] =>
    addRows(a[list], b[list], sign, addRow, isUsed);
  const addresses = (list: 'addresses' | 'unclaimed'): AddressRow[] =>
    addRows(a[list], b[list], sign, addAddress, isUsed);
  return {
    requests: a.requests + sign * b.requests,
    guestErrors: a.guestErrors + sign * b.guestErrors,
    types: rows('types'),
    clients: rows('clients'),
    ranges: rows('ranges'),
    addresses: addresses('addresses'),
    unclaimed: addresses('unclaimed'),
    clientErrors: addRows(a.clientErrors, b.clientErrors, sign, addErrors, ({ errors, late }) => errors + late !== 0),
  };
}

function addRows<Row extends { readonly name: string }>(
  a: readonly Row[],
  b: readonly Row[],
  sign: Sign,
  addTwo: (a: Row | undefined, b: Row, sign: Sign) => Row,
  isKept: (row: Row) => boolean,
): Row[] {
  const byName = new Map<string, Row>();
  for (const row of a) byName.set(row.name, addTwo(byName.get(row.name), row, 1));
  for (const row of b) byName.set(row.name, addTwo(byName.get(row.name), row, sign));
  return [...byName.values()].filter(isKept).sort((x, y) => sizeOf(y) - sizeOf(x) || (x.name < y.name ? -1 : 1));
}

function addRow(a: StatisticsRow | undefined, b: StatisticsRow, sign: Sign): StatisticsRow {
  if (a === undefined && sign === 1) return b;
  const stages = a?.stages ?? NO_STAGES;
  return {
    name: b.name,
    reads: (a?.reads ?? 0) + sign * b.reads,
    writes: (a?.writes ?? 0) + sign * b.writes,
    sizes: COUNTED_SIZES.map((size) => {
      const of = (row: StatisticsRow | undefined): SizeCount | undefined => row?.sizes.find((one) => one.size === size);
      return {
        size,
        reads: (of(a)?.reads ?? 0) + sign * (of(b)?.reads ?? 0),
        writes: (of(a)?.writes ?? 0) + sign * (of(b)?.writes ?? 0),
      };
    }).filter(({ reads, writes }) => reads + writes !== 0),
    stages: {
      wait: addLatency(stages.wait, b.stages.wait, sign),
      work: addLatency(stages.work, b.stages.work, sign),
      wake: addLatency(stages.wake, b.stages.wake, sign),
      total: addLatency(stages.total, b.stages.total, sign),
    },
  };
}

function addAddress(a: AddressRow | undefined, b: AddressRow, sign: Sign): AddressRow {
  return {
    name: b.name,
    reads: (a?.reads ?? 0) + sign * b.reads,
    writes: (a?.writes ?? 0) + sign * b.writes,
    timed: (a?.timed ?? 0) + sign * b.timed,
    sumNs: (a?.sumNs ?? 0) + sign * b.sumNs,
  };
}

function addErrors(a: ErrorRow | undefined, b: ErrorRow, sign: Sign): ErrorRow {
  return { name: b.name, errors: (a?.errors ?? 0) + sign * b.errors, late: (a?.late ?? 0) + sign * b.late };
}

function isUsed({ reads, writes }: { readonly reads: number; readonly writes: number }): boolean {
  return reads + writes !== 0;
}

function sizeOf(row: object): number {
  const count = (key: string): number => (key in row ? Number((row as Record<string, unknown>)[key]) : 0);
  return count('reads') + count('writes') + count('errors') + count('late');
}
