import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatisticsRow } from '../trace/statistics.js';
import { ADDRESS_ROWS, identity, statisticsTable } from './statistics-table.js';

const row = (name: string, reads: number, writes: number, p50Us?: number): StatisticsRow => ({
  name,
  reads,
  writes,
  p50Us,
  p99Us: p50Us === undefined ? undefined : p50Us * 10,
  maxUs: p50Us === undefined ? undefined : p50Us * 9.5,
});

const counters = { portAccesses: 50, mmioAccesses: 4, answeredByHypervisor: 20, requests: 34, failed: 0, halts: 1 };

test('the table has the requests by type, client and address, and the identity of the counts', () => {
  const text = statisticsTable(
    { requests: 34, types: [row('port', 30, 4, 12.34)], clients: [row('uart16550', 30, 4)], addresses: [] },
    counters,
  );
  const lines = text.split('\n');
  assert.match(lines[0] ?? '', /^I\/O requests by type +reads +writes +p50 us +p99 us +max us$/);
  assert.match(lines[1] ?? '', /^ {2}port +30 +4 +12\.3 +117 +117$/);
  assert.match(lines[3] ?? '', /^ {2}uart16550 +30 +4 +- +- +-$/);
  assert.ok(lines.includes('54 accesses trapped = 20 answered by the hypervisor + 34 I/O requests'));
});

test('of many addresses the first are shown and the others counted', () => {
  const addresses = Array.from({ length: ADDRESS_ROWS + 3 }, (_, i) => row(`port 0x${i.toString(16)}`, 2, 1));
  const text = statisticsTable({ requests: 69, types: [], clients: [], addresses }, counters);
  assert.equal(text.match(/port 0x/g)?.length, ADDRESS_ROWS);
  assert.match(text, /3 more addresses with 9 requests/);
});

test('accesses that could not become a request are not hidden', () => {
  assert.match(identity({ ...counters, portAccesses: 52 }, counters.requests), / \+ 2 that could not become one$/);
});
