import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyHistogram } from './latency-histogram.js';
import { NO_STAGES, NO_STATISTICS, type StatisticsRow } from './statistics-snapshot.js';
import { TracedPage } from './fixtures/traced-page.js';
import { prometheusText } from './prometheus.js';
import type { NamedClient } from './vm-trace.js';

const LINE = /^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$/;

function samples(text: string): { name: string; labels: string; value: number }[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = LINE.exec(line);
      assert.ok(match !== null, line);
      return { name: match[1] as string, labels: match[2] ?? '', value: Number(match[3]) };
    });
}

test('each line is a sample, histograms never fall and end in their count, names are escaped', () => {
  const page = new TracedPage();
  const DEFAULT: NamedClient = { name: 'default' };
  const statistics = page.trace.count<NamedClient>({ rangesOf: () => [], isDefault: (client) => client === DEFAULT });
  const odd: NamedClient = { name: 'a "quoted"\n\\name' };
  for (const client of [odd, odd, DEFAULT]) page.play({}, client, (request) => statistics.dispatched(request, client));
  statistics.countLate('disk');
  const text = prometheusText([{ vm: 'one', statistics: statistics.snapshot(4) }]);
  const all = samples(text);
  const value = (name: string, part: string): number | undefined =>
    all.find((sample) => sample.name === name && sample.labels.includes(part))?.value;
  assert.equal(value('upcall_requests_total', 'range="default: port"'), 1);
  assert.equal(value('upcall_guest_errors_total', 'vm="one"'), 4);
  assert.equal(value('upcall_client_late_total', 'client="disk"'), 1);
  assert.equal(value('upcall_unclaimed_accesses_total', 'address="port 0x060"'), 1);
  const buckets = all.filter(
    ({ name, labels }) => name === 'upcall_request_seconds_bucket' && /client="a .*stage="total"/.test(labels),
  );
  assert.equal(buckets.length, 26);
  for (const [i, bucket] of buckets.entries()) assert.ok(bucket.value >= (buckets[i - 1]?.value ?? 0));
  assert.equal(buckets.at(-1)?.value, 2);
  assert.match(text, /client="a \\"quoted\\"\\n\\\\name"/);
  assert.equal(text.match(/^# TYPE upcall_request_seconds histogram$/gm)?.length, 1);
});

function row(name: string, part: Partial<StatisticsRow>): StatisticsRow {
  return { name, reads: 0, writes: 0, sizes: [], stages: NO_STAGES, ...part };
}

/** The lines of a metric's samples, without its name. */
function linesOf(text: string, name: string): string[] {
  return text.split('\n').flatMap((line) => (line.startsWith(name) ? [line.slice(name.length)] : []));
}

test('requests are counted by size and direction, and those that did not occur are left out', () => {
  const sizes = [
    { size: 1, reads: 3, writes: 0 },
    { size: 4, reads: 0, writes: 5 },
    { size: 0, reads: 1, writes: 1 },
  ] as const;
  const text = prometheusText([
    { vm: 'one', statistics: { ...NO_STATISTICS, ranges: [row('uart: port', { sizes })] } },
  ]);
  assert.deepEqual(linesOf(text, 'upcall_requests_total'), [
    '{vm="one",range="uart: port",size="1",direction="read"} 3',
    '{vm="one",range="uart: port",size="4",direction="write"} 5',
    '{vm="one",range="uart: port",size="other",direction="read"} 1',
    '{vm="one",range="uart: port",size="other",direction="write"} 1',
  ]);
});

test('accesses that no client claims are reads and writes together', () => {
  const unclaimed = [{ name: 'port 0x060', reads: 2, writes: 3, timed: 0, sumNs: 0 }];
  const text = prometheusText([{ vm: 'one', statistics: { ...NO_STATISTICS, unclaimed } }]);
  assert.deepEqual(linesOf(text, 'upcall_unclaimed_accesses_total'), ['{vm="one",address="port 0x060"} 5']);
});

test('a histogram has 25 bounds from 100 ns to 10 s, and counts what does not exceed each', () => {
  const total = new LatencyHistogram();
  // 199 ns is the last value of its bucket, so that the whole bucket lies below 200 ns.
  for (const ns of [0, 1, 100, 199, 200, 3_000_000_000, 20_000_000_000]) total.record(ns);
  const clients = [row('disk', { stages: { ...NO_STAGES, total: total.snapshot() } })];
  const text = prometheusText([{ vm: 'one', statistics: { ...NO_STATISTICS, clients } }]);
  const own = text.split('\n').filter((line) => line.includes('stage="total"'));
  const lines = own.map((line) => line.replace(/^upcall_request_seconds_|vm="one",client="disk",stage="total",?/g, ''));
  const decades = [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1].flatMap((step) => [step, 2 * step, 5 * step]);
  const bounds = [...decades, 10].map((bound) => Number(bound.toPrecision(3)));
  const counts = bounds.map((bound) => (bound < 2e-7 ? 2 : bound < 5e-7 ? 4 : bound < 5 ? 5 : 6));
  assert.deepEqual(lines, [
    ...bounds.map((bound, i) => `bucket{le="${bound}"} ${counts[i]}`),
    'bucket{le="+Inf"} 7',
    'sum{} 23.0000005',
    'count{} 7',
  ]);
});
