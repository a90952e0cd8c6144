/**
 * Statistics as Prometheus text (exposition format 0.0.4): counters by range, client and address,
 * and each stage of each client as a histogram. All histograms have the same bounds, so that
 * Prometheus can add them.
 *
 * Called by: the live page's server, for /metrics; programs with an exporter of their own.
 * Callers must: give each VM another name. Two of the same name would give a series twice, which
 * Prometheus refuses. Clients of the same name are one row of a snapshot already.
 */

import { bucketEndNs, type LatencySnapshot } from './latency-histogram.js';
import { STAGES, type StatisticsSnapshot } from './statistics-snapshot.js';

/** Upper bounds of the histogram buckets, in ns: 1, 2, 5 to a decade from 100 ns to 10 s. */
const BOUNDS_NS = [2, 3, 4, 5, 6, 7, 8, 9]
  .flatMap((digits) => [1, 2, 5].map((step) => step * 10 ** digits))
  .concat(1e10);

export interface NamedStatistics {
  readonly vm: string;
  readonly statistics: StatisticsSnapshot;
}

type Labels = Readonly<Record<string, string | number>>;
/** Calls `add` for each sample of a metric. `suffix` is added to the metric's name. */
type Samples = (add: (labels: Labels, value: number, suffix?: string) => void) => void;

/** The text for all VMs: the complete answer to a scrape. */
export function prometheusText(vms: readonly NamedStatistics[]): string {
  const each = (work: (vm: string, statistics: StatisticsSnapshot) => void): void =>
    vms.forEach(({ vm, statistics }) => work(vm, statistics));
  return [
    metric('upcall_requests_total', 'counter', 'I/O requests by client and range, direction and size.', (add) =>
      // A range's name begins with its client's.
      each((vm, { ranges }) => {
        for (const { name, sizes } of ranges)
          for (const { size, reads, writes } of sizes) {
            const labels = { vm, range: name, size: size === 0 ? 'other' : size };
            if (reads > 0) add({ ...labels, direction: 'read' }, reads);
            if (writes > 0) add({ ...labels, direction: 'write' }, writes);
          }
      }),
    ),
    metric('upcall_request_seconds', 'histogram', 'Time of I/O requests by client and stage.', (add) =>
      each((vm, { clients }) => {
        for (const { name, stages } of clients)
          for (const stage of STAGES)
            histogram(stages[stage], (labels, value, suffix) =>
              add({ vm, client: name, stage, ...labels }, value, suffix),
            );
      }),
    ),
    metric('upcall_unclaimed_accesses_total', 'counter', 'Accesses that no client claims, by address.', (add) =>
      each((vm, { unclaimed }) => {
        for (const { name, reads, writes } of unclaimed) add({ vm, address: name }, reads + writes);
      }),
    ),
    metric('upcall_guest_errors_total', 'counter', 'Accesses that ended in a fault or lost their request.', (add) =>
      each((vm, { guestErrors }) => add({ vm }, guestErrors)),
    ),
    metric('upcall_client_errors_total', 'counter', 'Times that a client or device threw or failed.', (add) =>
      each((vm, { clientErrors }) => clientErrors.forEach(({ name, errors }) => add({ vm, client: name }, errors))),
    ),
    metric('upcall_client_late_total', 'counter', 'Times that a client did not answer within its time.', (add) =>
      each((vm, { clientErrors }) => clientErrors.forEach(({ name, late }) => add({ vm, client: name }, late))),
    ),
  ].join('');
}

function metric(name: string, type: 'counter' | 'histogram', help: string, samples: Samples): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
  samples((labels, value, suffix = '') => lines.push(`${name}${suffix}{${labelText(labels)}} ${value}`));
  return `${lines.join('\n')}\n`;
}

/**
 * Adds the samples of a histogram: for each bound, how many values do not exceed it. A bucket of
 * the snapshot counts as soon as it lies below the bound completely.
 */
function histogram(latency: LatencySnapshot, add: (labels: Labels, value: number, suffix: string) => void): void {
  let next = 0;
  let count = 0;
  for (const bound of BOUNDS_NS) {
    for (; next < latency.buckets.length; next++) {
      const [bucket, here] = latency.buckets[next] as readonly [number, number];
      if (bucketEndNs(bucket) - 1 > bound) break;
      count += here;
    }
    add({ le: bound / 1e9 }, count, '_bucket');
  }
  add({ le: '+Inf' }, latency.count, '_bucket');
  add({}, latency.sumNs / 1e9, '_sum');
  add({}, latency.count, '_count');
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(String(value))}"`)
    .join(',');
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
