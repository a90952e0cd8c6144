/**
 * TableSampler: samples a VM's statistics as a `tables` message: totals, and the rates and
 * percentiles since the last sample.
 *
 * Called by: LiveView, four times a second while a page watches tables; `upcall top`.
 */

import { percentileNs, type LatencySnapshot } from '../trace/latency-histogram.js';
import {
  diffStatistics,
  mergeRows,
  NO_STAGES,
  NO_STATISTICS,
  type StatisticsRow,
  type StatisticsSnapshot,
} from '../trace/statistics-snapshot.js';
import type { UserVm } from '../vm/user-vm.js';
import { MAX_UNCLAIMED_ROWS, type Percentiles, type TableRow, type Tables } from './protocol.js';

export class TableSampler {
  readonly #vm: UserVm;
  #last: StatisticsSnapshot;
  #lastMs = performance.now();

  /** The first sample covers the time from here on. */
  constructor(vm: UserVm) {
    this.#vm = vm;
    this.#last = vm.statistics() ?? NO_STATISTICS;
  }

  /** The tables of a VM without statistics are empty. */
  sample(): Tables {
    const statistics = this.#vm.statistics() ?? NO_STATISTICS;
    const counters = this.#vm.counters();
    const timeMs = performance.now();
    // At least 1 ms: two samples in one turn of the event loop must not give infinite rates.
    const intervalMs = Math.max(1, timeMs - this.#lastMs);
    const recent = diffStatistics(statistics, this.#last);
    this.#last = statistics;
    this.#lastMs = timeMs;
    const perSecond = (count: number): number => (count * 1000) / intervalMs;
    // The sum over all types has the latencies of all requests.
    const [all] = mergeRows(recent.types.map((row) => ({ ...row, name: 'all' })));
    const stages = all?.stages ?? NO_STAGES;
    const rows = (list: 'clients' | 'ranges'): TableRow[] => {
      const recentByName = new Map(recent[list].map((row) => [row.name, row]));
      return statistics[list].map((row) => tableRow(row, recentByName.get(row.name), perSecond));
    };
    const recentUnclaimed = new Map(recent.unclaimed.map(({ name, reads, writes }) => [name, reads + writes]));
    return {
      kind: 'tables',
      timeMs,
      intervalMs,
      requests: statistics.requests,
      perSecond: perSecond(recent.requests),
      trapped: counters.portAccesses + counters.mmioAccesses,
      answeredByHypervisor: counters.answeredByHypervisor,
      guestErrors: statistics.guestErrors,
      latency: {
        wait: percentiles(stages.wait),
        work: percentiles(stages.work),
        wake: percentiles(stages.wake),
        total: percentiles(stages.total),
      },
      clients: rows('clients'),
      ranges: rows('ranges'),
      unclaimed: statistics.unclaimed.slice(0, MAX_UNCLAIMED_ROWS).map(({ name, reads, writes }) => ({
        name,
        reads,
        writes,
        perSecond: perSecond(recentUnclaimed.get(name) ?? 0),
      })),
    };
  }
}

function tableRow(
  row: StatisticsRow,
  recent: StatisticsRow | undefined,
  perSecond: (count: number) => number,
): TableRow {
  return {
    name: row.name,
    reads: row.reads,
    writes: row.writes,
    perSecond: perSecond(recent === undefined ? 0 : recent.reads + recent.writes),
    recent: recent === undefined ? null : percentiles(recent.stages.total),
    all: percentiles(row.stages.total),
  };
}

function percentiles(latency: LatencySnapshot): Percentiles | null {
  const [p50Ns, p99Ns] = [percentileNs(latency, 50), percentileNs(latency, 99)];
  return p50Ns === undefined || p99Ns === undefined ? null : { p50Ns, p99Ns };
}
