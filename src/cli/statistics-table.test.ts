import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyHistogram, type LatencySnapshot } from '../trace/latency-histogram.js';
import type { StatisticsRow, StatisticsSnapshot } from '../trace/statistics-snapshot.js';
import { accountingLine, SHOWN_ROWS, statisticsTable } from './statistics-table.js';

function latency(...us: number[]): LatencySnapshot {
  const histogram = new LatencyHistogram();
  for (const one of us) histogram.record(one * 1000);
  return histogram.snapshot();
}

const row = (name: string, reads: number, writes: number, ...us: number[]): StatisticsRow => ({
  name,
  reads,
  writes,
  sizes: [{ size: 1, reads, writes }],
  stages: {
    wait: latency(...us),
    work: latency(...us),
    wake: latency(...us),
    total: latency(...us.map((one) => 3 * one)),
  },
});

const NOTHING: StatisticsSnapshot = {
  requests: 0,
  guestErrors: 0,
  types: [],
  clients: [],
  ranges: [],
  addresses: [],
  unclaimed: [],
  clientErrors: [],
};
const counters = { portAccesses: 50, mmioAccesses: 4, answeredByHypervisor: 20, requests: 34, failed: 0, halts: 1 };

test('the table has the requests by type, client and range with their stages, and the accounting line', () => {
  const text = statisticsTable(
    { ...NOTHING, requests: 34, types: [row('port', 30, 4, 1, 1, 20)], clients: [row('uart16550', 30, 4)] },
    counters,
  );
  const lines = text.split('\n');
  assert.match(lines[0] ?? '', /^I\/O requests by type +reads +writes +wait +work +wake +p50 us +p99 us +max us$/);
  assert.match(lines[1] ?? '', /^ {2}port +30 +4 +1\.0 +1\.0 +1\.0 +3\.0 +6\d\.\d +6\d\.\d$/);
  assert.match(lines[3] ?? '', /^ {2}uart16550 +30 +4 +- +- +- +- +- +-$/);
  assert.ok(lines.includes('54 accesses trapped = 20 answered by the hypervisor + 34 I/O requests'));
});

test('with many addresses and ranges, the first are shown and the others counted', () => {
  const names = Array.from({ length: SHOWN_ROWS + 3 }, (_, i) => `port 0x${i.toString(16)}`);
  const addresses = names.map((name) => ({ name, reads: 2, writes: 1, timed: 2, sumNs: 5000 }));
  const ranges = names.map((name) => row(`client: ${name}`, 1, 0));
  const text = statisticsTable({ ...NOTHING, requests: 69, addresses, ranges }, counters);
  assert.equal(text.match(/^ {2}port 0x/gm)?.length, SHOWN_ROWS);
  assert.equal(text.match(/^ {2}client: port 0x/gm)?.length, SHOWN_ROWS);
  assert.match(text, /^ {2}port 0x0 +2 +1 +2\.5$/m);
  assert.match(text, /3 more addresses with 9 requests/);
  assert.match(text, /3 more ranges with 3 requests/);
});

test('no line is wider than 80 columns for long names and large numbers', () => {
  const wide = row(
    'a client whose name goes on and on: mmio 0xfffffffff0000…0xfffffffffffff',
    9_999_999,
    9_999_999,
    90_000,
  );
  const text = statisticsTable(
    { ...NOTHING, requests: 1, types: [wide], clients: [wide], ranges: [wide], addresses: [] },
    counters,
  );
  assert.match(text, /^ {2}a client whose name goes on and on: mmio 0x[^ ]+\n +9999999 9999999 +90\d{3} /m);
  for (const line of text.split('\n').slice(0, -2)) assert.ok(line.length <= 80, `${line.length}: ${line}`);
});

test('a client’s ranges are listed below it, a single range without numbers', () => {
  const clients = [row('uart', 30, 4, 1), row('disk', 5, 5, 1)];
  const ranges = [row('uart: port 0x3f8…0x3ff', 30, 4, 1), row('disk: pci', 3, 3, 1), row('disk: mmio', 2, 2, 1)];
  const lines = statisticsTable({ ...NOTHING, clients, ranges }, counters).split('\n');
  const at = lines.findIndex((line) => line.startsWith('  uart'));
  assert.deepEqual(
    lines.slice(at, at + 5).map((line) => line.split(/ {2,}/).slice(0, 3).join('|').trimEnd()),
    ['|uart|30', '|port 0x3f8…0x3ff', '|disk|5', '|pci|3', '|mmio|2'],
  );
});

test('clients with errors or late answers are listed', () => {
  const clientErrors = [{ name: 'disk', errors: 2, late: 1 }];
  assert.match(statisticsTable({ ...NOTHING, clientErrors }, counters), /^disk: 2 errors, late 1 times$/m);
});

test('accesses that did not become a request are shown', () => {
  assert.match(accountingLine({ ...counters, portAccesses: 52 }, counters.requests), / \+ 2 that did not become one$/);
});
