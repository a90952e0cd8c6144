/**
 * StatisticsSnapshot: a VM's request counts and latencies as plain data.
 *
 * Called by: users of `vm.statistics()`.
 *
 * A snapshot can be sent, stored, added to another one and subtracted from a later one. It holds no
 * maxima or percentiles, because those cannot be merged: `percentileNs` computes them.
 */

import type { AddressRow } from './address-counts.js';
import { addLatency, NO_LATENCY, type LatencySnapshot } from './latency-histogram.js';

/** The stages of a request, each from one change of its slot's state to another. */
export const STAGES = ['wait', 'work', 'wake', 'total'] as const;
/**
 * `wait`: PENDING → PROCESSING, until the worker dispatches the request. `work`: PROCESSING →
 * COMPLETE, until the client answers. `wake`: COMPLETE → FREE, until the vCPU takes the answer.
 * `total`: PENDING → FREE.
 */
export type Stage = (typeof STAGES)[number];
export type Stages = Readonly<Record<Stage, LatencySnapshot>>;

/** Access sizes with a count of their own. 0 stands for all others. */
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
   * Latencies of the requests that were finished and timed. Requests that the HSM answered itself
   * have no `wait` and no `work`.
   */
  readonly stages: Stages;
}

/** Errors of one client or device. */
export interface ErrorRow {
  readonly name: string;
  /** How often it threw, or gave no answer. */
  readonly errors: number;
  /** How often it exceeded its time limit. */
  readonly late: number;
}

/** Each list is sorted by requests, most first, then by name. */
export interface StatisticsSnapshot {
  readonly requests: number;
  /** Accesses that ended in a #GP or whose request was lost (VcpuCounter.failed). */
  readonly guestErrors: number;
  readonly types: readonly StatisticsRow[];
  readonly clients: readonly StatisticsRow[];
  /**
   * By client and range. Requests outside of their client's ranges are in a row with the client's
   * name and type.
   */
  readonly ranges: readonly StatisticsRow[];
  readonly addresses: readonly AddressRow[];
  /** Addresses that no client claims. */
  readonly unclaimed: readonly AddressRow[];
  readonly clientErrors: readonly ErrorRow[];
}

export const NO_STAGES: Stages = { wait: NO_LATENCY, work: NO_LATENCY, wake: NO_LATENCY, total: NO_LATENCY };

/** The snapshot of a VM without requests. */
export const NO_STATISTICS: StatisticsSnapshot = {
  requests: 0,
  guestErrors: 0,
  types: [],
  clients: [],
  ranges: [],
  addresses: [],
  unclaimed: [],
  clientErrors: [],
};

/** Adds two snapshots. */
export function mergeStatistics(a: StatisticsSnapshot, b: StatisticsSnapshot): StatisticsSnapshot {
  return add(a, b, 1);
}

/** The requests between two snapshots of one VM. */
export function diffStatistics(later: StatisticsSnapshot, earlier: StatisticsSnapshot): StatisticsSnapshot {
  return add(later, earlier, -1);
}

/** Merges rows of the same name. Sorted like a snapshot. */
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
