import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { MAX_ADDRESSES, RequestStatistics, type CountedRequest } from './statistics.js';

const { READ, WRITE } = Direction;
const { PORT, MMIO, PCI } = IoRequestType;

function request(part: Partial<CountedRequest> = {}): CountedRequest {
  return {
    vcpu: 0,
    type: PORT,
    direction: READ,
    addressLow: 0x60,
    addressHigh: 0,
    bus: 0,
    device: 0,
    pciFunction: 0,
    ...part,
  };
}

const names = (rows: readonly { readonly name: string }[]): string[] => rows.map(({ name }) => name);

test('requests are counted by type, client and address, most first', () => {
  const statistics = new RequestStatistics(() => -1);
  statistics.dispatched(request(), 'keyboard');
  statistics.dispatched(request({ direction: WRITE }), 'keyboard');
  statistics.dispatched(request({ addressLow: 0x64 }), 'keyboard');
  statistics.dispatched(request({ type: MMIO, addressLow: 0x1008, addressHigh: 1 }), 'default');
  statistics.dispatched(request({ type: PCI, bus: 0x12, device: 0x1f, pciFunction: 1 }), 'default');
  const snapshot = statistics.snapshot();
  assert.equal(snapshot.requests, 5);
  assert.deepEqual(
    snapshot.types.map(({ name, reads, writes }) => [name, reads, writes]),
    [
      ['port', 2, 1],
      ['mmio', 1, 0],
      ['pci', 1, 0],
    ],
  );
  assert.deepEqual(names(snapshot.clients), ['keyboard', 'default']);
  assert.deepEqual(names(snapshot.addresses), ['port 0x060', 'mmio 0x100001008', 'pci 12:1f.1', 'port 0x064']);
});

test('a request’s latency is taken when its slot’s next one is dispatched, or when somebody asks, once', () => {
  const latencies = [0, 0];
  const statistics = new RequestStatistics((vcpu) => latencies[vcpu] ?? 0);
  statistics.dispatched(request(), 'a');
  latencies[0] = 0.01;
  statistics.dispatched(request({ vcpu: 1 }), 'b');
  statistics.dispatched(request(), 'a');
  latencies[0] = 0.03;
  latencies[1] = 5;
  const [a, b] = statistics.snapshot().clients;
  assert.ok(a?.maxUs !== undefined && b?.maxUs !== undefined);
  assert.ok(Math.abs(a.maxUs - 30) < 1, `${a.maxUs}`);
  assert.ok(Math.abs((a.p50Us ?? 0) - 10) < 1, `${a.p50Us}`);
  assert.ok(Math.abs(b.maxUs - 5000) < 100, `${b.maxUs}`);
  latencies[0] = 99;
  assert.equal(statistics.snapshot().clients[0]?.maxUs, a.maxUs);
});

test('a request that was withdrawn, or that nobody measured, has no latency', () => {
  for (const latency of [-1, 0]) {
    const statistics = new RequestStatistics(() => latency);
    statistics.dispatched(request(), 'a');
    const [row] = statistics.snapshot().clients;
    assert.deepEqual([row?.reads, row?.p50Us, row?.p99Us, row?.maxUs], [1, undefined, undefined, undefined]);
  }
});

test('a guest that scans addresses fills a bounded list; the rest share one row', () => {
  const statistics = new RequestStatistics(() => -1);
  for (let port = 0; port < MAX_ADDRESSES + 50; port++) statistics.dispatched(request({ addressLow: port }), 'default');
  const { addresses } = statistics.snapshot();
  assert.equal(addresses.length, MAX_ADDRESSES + 1);
  assert.deepEqual([addresses[0]?.name, addresses[0]?.reads], ['other addresses', 50]);
});

test('type numbers that mean nothing share one row', () => {
  const statistics = new RequestStatistics(() => -1);
  for (const type of [4, 5, -1, 0x7fff_ffff, 3]) statistics.dispatched(request({ type }), 'default');
  assert.deepEqual(
    statistics.snapshot().types.map(({ name, reads }) => [name, reads]),
    [
      ['other types', 4],
      ['write-protect', 1],
    ],
  );
});

test('a snapshot is plain data that later requests do not change', () => {
  const statistics = new RequestStatistics(() => -1);
  statistics.dispatched(request(), 'a');
  const before = statistics.snapshot();
  statistics.dispatched(request(), 'a');
  assert.equal(before.clients[0]?.reads, 1);
  assert.equal(before.requests, 1);
});
