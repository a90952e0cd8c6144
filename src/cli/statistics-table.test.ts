import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyHistogram, type LatencySnapshot } from '../trace/latency-histogram.js';
import type { StatisticsRow, StatisticsSnapshot } from '../trace/statistics-snapshot.js';
import { SHOWN_MESSAGES } from './interrupt-tables.js';
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
const NO_INTERRUPTS = { lines: [], messages: [], doorbells: [] };
const counters = {
  portAccesses: 50,
  mmioAccesses: 4,
  answeredByHypervisor: 20,
  requests: 34,
  failed: 0,
  halts: 1,
  asyncWrites: 0,
};

test('the table has the requests by type, client and range with their stages, and the accounting line', () => {
  const text = statisticsTable(
    { ...NOTHING, requests: 34, types: [row('port', 30, 4, 1, 1, 20)], clients: [row('uart16550', 30, 4)] },
    counters,
    NO_INTERRUPTS,
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
  const text = statisticsTable({ ...NOTHING, requests: 69, addresses, ranges }, counters, NO_INTERRUPTS);
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
    NO_INTERRUPTS,
  );
  assert.match(text, /^ {2}a client whose name goes on and on: mmio 0x[^ ]+\n +9999999 9999999 +90\d{3} /m);
  for (const line of text.split('\n').slice(0, -2)) assert.ok(line.length <= 80, `${line.length}: ${line}`);
});

test('a client’s ranges are listed below it, a single range without numbers', () => {
  const clients = [row('uart', 30, 4, 1), row('disk', 5, 5, 1)];
  const ranges = [row('uart: port 0x3f8…0x3ff', 30, 4, 1), row('disk: pci', 3, 3, 1), row('disk: mmio', 2, 2, 1)];
  const lines = statisticsTable({ ...NOTHING, clients, ranges }, counters, NO_INTERRUPTS).split('\n');
  const at = lines.findIndex((line) => line.startsWith('  uart'));
  assert.deepEqual(
    lines.slice(at, at + 5).map((line) => line.split(/ {2,}/).slice(0, 3).join('|').trimEnd()),
    ['|uart|30', '|port 0x3f8…0x3ff', '|disk|5', '|pci|3', '|mmio|2'],
  );
});

test('clients with errors or late answers are listed', () => {
  const clientErrors = [{ name: 'disk', errors: 2, late: 1 }];
  assert.match(
    statisticsTable({ ...NOTHING, clientErrors }, counters, NO_INTERRUPTS),
    /^disk: 2 errors, late 1 times$/m,
  );
});

test('accesses that did not become a request are shown', () => {
  assert.match(accountingLine({ ...counters, portAccesses: 52 }, counters.requests), / \+ 2 that did not become one$/);
});

test('asynchronous writes are accounted for', () => {
  const line = accountingLine({ ...counters, mmioAccesses: 9, asyncWrites: 4 }, counters.requests);
  assert.match(
    line,
    /^59 accesses trapped = .* \+ 34 I\/O requests \+ 4 asynchronous writes \+ 1 that did not become one$/,
  );
});

test('lines, messages and doorbells have tables, and what was not used has no line', () => {
  const text = statisticsTable(NOTHING, counters, {
    lines: [
      { line: 1, owners: ['i8042'], holders: [], isHigh: false, rises: 0, ends: 0 },
      { line: 4, owners: ['uart16550'], holders: [], isHigh: false, rises: 12, ends: 11 },
      { line: 10, owners: ['disk', 'net'], holders: ['net'], isHigh: true, rises: 3, ends: undefined },
    ],
    messages: [
      { source: 'disk 00:03.0', vector: 0, sent: 1, isPending: false, refused: 2 },
      { source: 'disk 00:03.0', vector: 1, sent: 700, isPending: true, refused: 0 },
    ],
    doorbells: [{ card: 'disk 00:03.0', writes: 5 }],
  });
  const rows = text.split('\n').map((line) => line.trim().split(/ {2,}/).join('|'));
  const at = rows.indexOf('interrupt lines|rises|EOIs|at the end|driven by');
  assert.deepEqual(rows.slice(at + 1, at + 9), [
    '4|12|11|low|uart16550',
    '10|3|-|high|disk, net',
    'messages of|vector|sent|pending|refused',
    'disk 00:03.0|1|700|yes|0',
    'disk 00:03.0|0|1|no|2',
    'doorbells of|writes',
    'disk 00:03.0|5',
    '',
  ]);
  assert.doesNotMatch(statisticsTable(NOTHING, counters, NO_INTERRUPTS), /interrupt|messages|doorbells/);
});

test('of many messages the busiest are shown and the others counted', () => {
  const messages = Array.from({ length: SHOWN_MESSAGES + 2 }, (_, vector) => ({
    source: 'net 00:04.0',
    vector,
    sent: 10 * vector,
    isPending: false,
    refused: 0,
  }));
  const text = statisticsTable(NOTHING, counters, { ...NO_INTERRUPTS, messages });
  assert.equal(text.match(/^ {2}net 00:04\.0/gm)?.length, SHOWN_MESSAGES);
  assert.match(text, /^2 more kinds of messages, 10 sent$/m);
});
