import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableRow } from '../dashboard/protocol.js';
import { topScreen, type TopView } from './top-screen.js';

const row = (name: string, perSecond = 1): TableRow => ({
  name,
  reads: 123_456_789,
  writes: 12,
  perSecond,
  recent: { p50Ns: 1500, p99Ns: 250_000 },
  all: null,
});

const VIEW: TopView = {
  name: 'monitor',
  hypervisor: 'v86',
  tables: {
    kind: 'tables',
    timeMs: 0,
    intervalMs: 250,
    requests: 1_000_000,
    perSecond: 1_234_567,
    trapped: 1_000_010,
    answeredByHypervisor: 10,
    guestErrors: 0,
    latency: { wait: { p50Ns: 300, p99Ns: 400 }, work: null, wake: null, total: { p50Ns: 900, p99Ns: 1e6 } },
    clients: [row('uart16550', 15_000), row('a\u001b[2Jevil')],
    ranges: [row('uart16550: port 0x3f8…0x3ff and a name that does not end')],
    unclaimed: [{ name: 'port 0x500', reads: 3, writes: 0, perSecond: 0 }],
  },
  slots: [{ vcpu: 0, state: 'PROCESSING', ageMs: 1234, client: 'uart16550' }],
  stops: [
    {
      vcpu: 0,
      at: 'complete',
      client: 'uart16550',
      request: { type: 'port', direction: 'read', address: '0x3fd', size: 1, value: '0x60' },
      canChange: true,
      breakpoint: null,
      interrupt: null,
      sinceMs: 0,
    },
  ],
};

const texts = (view: TopView, columns: number, rows: number): string[] =>
  topScreen(view, columns, rows).map(({ text }) => text);

test('the screen shows every section in 80 columns', () => {
  const text = texts(VIEW, 80, 24).join('\n');
  assert.match(text, /1000000 requests, 1\.23M\/s; 1000010 trapped, 10 answered by the hypervisor/);
  assert.match(text, /wait 0\.3 {2}work - {2}wake - {2}all 0\.9 {3}p99 us: 1000/);
  assert.match(text, /slot {2}0 PROCESSING {4}1\.2 s {2}uart16550/);
  assert.match(text, /held: vCPU 0 before COMPLETE, uart16550: read port 0x3fd\/1 = 0x60/);
  assert.match(text, /uart16550 +123456789 +12 +15k +1\.5 +250/);
  assert.match(text, /port 0x500 +3 +0 +0/);
  for (const line of texts(VIEW, 1000, 100)) assert.ok(line.length <= 80, `${line.length}: ${line}`);
});

test('heads, held requests and idle rows have their own styles', () => {
  const look = (start: string): string | undefined =>
    topScreen(VIEW, 80, 24).find(({ text }) => text.startsWith(start))?.style;
  assert.deepEqual(['upcall top', 'client', 'held:', '  uart16550', '  port 0x500', 'unclaimed'].map(look), [
    'title',
    'head',
    'held',
    'plain',
    'idle',
    'head',
  ]);
});

test('a small terminal shows part of each section and the number of hidden lines', () => {
  const many = (of: string): TableRow[] => Array.from({ length: 30 }, (_, i) => row(`${of} ${i}`));
  const tables = { ...VIEW.tables, clients: many('client'), ranges: many('range') };
  const lines = texts({ ...VIEW, tables }, 80, 24);
  assert.equal(lines.length, 24);
  const text = lines.join('\n');
  assert.match(text, /client 0 [^]*… 2\d more[^]*range 0 [^]*… 2\d more[^]*unclaimed[^]*port 0x500/);
  const shown = (of: RegExp): number => lines.filter((one) => of.test(one)).length;
  const more = [...text.matchAll(/… (\d+) more/g)].map(([, count]) => Number(count));
  assert.deepEqual(more, [30 - shown(/^ {2}client /), 30 - shown(/^ {2}range /)]);
});

test('a tiny terminal shows the upper left, and no name moves the cursor', () => {
  const lines = texts(VIEW, 20, 3);
  assert.equal(lines.length, 3);
  for (const line of lines) assert.ok(line.length <= 20);
  const evil = 'a\u001b[2Jevil';
  const [slot, stop] = [VIEW.slots[0], VIEW.stops[0]];
  assert.ok(slot !== undefined && stop !== undefined);
  const view = {
    ...VIEW,
    ...{ name: evil, hypervisor: evil, end: evil },
    slots: [{ ...slot, client: evil }],
    stops: [{ ...stop, client: evil }],
  };
  assert.doesNotMatch(texts(view, 80, 24).join(''), /\u001b/);
  assert.match(texts(view, 80, 24).join(''), /a\?\[2Jevil/);
});
