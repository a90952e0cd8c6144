import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IoRequestType } from '../io-request/layout.js';
import { MAX_COUNTED_CLIENTS, MAX_COUNTED_RANGES, RequestRow, RequestRows, type CountedRange } from './request-rows.js';

const { PORT, MMIO, PCI, WRITE_PROTECT } = IoRequestType;

const ports = (start: number, count: number): CountedRange => ({
  type: PORT,
  start: BigInt(start),
  end: BigInt(start + count - 1),
});

const UART = ports(0x3f8, 8);
const MEMORY: CountedRange = { type: MMIO, start: 0xf_0000_0000n, end: 0xf_0000_0fffn };
const none = (): CountedRange[] => [];

describe('the row of a request', () => {
  test('is that of its client’s range, from its first to its last address', () => {
    const rows = new RequestRows();
    let asked = 0;
    const ranges = (): CountedRange[] => {
      asked++;
      return [MEMORY, UART];
    };
    const row = rows.find('uart', PORT, 0x3f8, 0, ranges);
    assert.deepEqual([row.rangeName, row.first, row.last], ['uart: port 0x3f8…0x3ff', 0x3f8, 0x3ff]);
    for (const address of [0x3f8, 0x3fc, 0x3ff]) assert.equal(rows.find('uart', PORT, address, 0, ranges), row);
    assert.equal(asked, 1);
    for (const address of [0x3f7, 0x400]) {
      const outside = rows.find('uart', PORT, address, 0, ranges);
      assert.equal(outside.rangeName, 'uart: port');
    }
    assert.equal(rows.find('uart', MMIO, 0, 0xf, ranges).rangeName, 'uart: mmio 0xf00000000…0xf00000fff');
    assert.equal(rows.find('uart', MMIO, 0x3f8, 0, ranges).rangeName, 'uart: mmio');
    assert.equal(rows.find('uart', PORT, 0x3f8, 1, ranges).rangeName, 'uart: port');
    assert.equal(rows.find('disk', PORT, 0x3f8, 0, none).rangeName, 'disk: port');
  });

  test('is that of a range of one address, which is named once', () => {
    const rows = new RequestRows();
    assert.equal(rows.find('post', PORT, 0x80, 0, () => [ports(0x80, 1)]).rangeName, 'post: port 0x80');
  });

  test('is by type for PCI, write-protected pages and unknown types, which have no ranges', () => {
    const rows = new RequestRows();
    const asked = (): never => assert.fail('these types have no ranges');
    const names = [PCI, WRITE_PROTECT, 4, 99, -1].map((type) => rows.find('client', type, 0x3f8, 0, asked).rangeName);
    assert.deepEqual(names, [
      'client: pci',
      'client: write-protect',
      'client: other types',
      'client: other types',
      'client: other types',
    ]);
    assert.equal(rows.find('client', 4, 0, 0, asked), rows.find('client', -1, 0, 0, asked));
    assert.equal(rows.snapshot().ranges.length, 0, 'rows without requests are left out');
  });

  test('is its client’s, also when clients take turns', () => {
    const rows = new RequestRows();
    const a = rows.find('a', PORT, 0x3f8, 0, () => [UART]);
    const b = rows.find('b', PORT, 0x3f8, 0, () => [UART]);
    assert.notEqual(a, b);
    assert.equal(rows.find('a', PORT, 0x3f8, 0, none), a);
    assert.equal(rows.find('b', PORT, 0x3f8, 0, none), b);
  });

  test('is outside of all ranges once there are 256 of them', () => {
    assert.equal(MAX_COUNTED_RANGES, 256);
    const rows = new RequestRows();
    const all = Array.from({ length: 257 }, (_, i) => ports(16 * i, 4));
    const names = all.map(({ start }) => rows.find('many', PORT, Number(start), 0, () => all).rangeName);
    assert.equal(new Set(names).size, 257);
    assert.deepEqual([names[255], names[256]], ['many: port 0xff0…0xff3', 'many: port']);
  });

  test('is shared by the clients beyond the first 128', () => {
    assert.equal(MAX_COUNTED_CLIENTS, 128);
    const rows = new RequestRows();
    for (let i = 0; i < 128; i++) assert.equal(rows.find(`c${i}`, PORT, 0, 0, none).client, `c${i}`);
    const other = rows.find('c128', PORT, 0x3f8, 0, () => [UART]);
    assert.deepEqual([other.client, other.rangeName], ['other clients', 'other clients: port']);
    assert.equal(rows.find('c129', PORT, 0, 0, none), other);
    assert.equal(rows.find('c5', PORT, 0, 0, none).client, 'c5');
  });
});

describe('a row', () => {
  test('counts reads and writes by size', () => {
    const row = new RequestRow('client', PORT);
    const sizes = [1, 2, 2, 4, 4, 4, 8, 8, 8, 8, 3, 3, 3, 16, 0];
    for (const size of sizes) row.count(size, true);
    row.count(1, false);
    row.count(5, false);
    const { reads, writes, sizes: counted } = row.snapshot();
    assert.deepEqual([reads, writes], [sizes.length, 2]);
    assert.deepEqual(counted, [
      { size: 1, reads: 1, writes: 1 },
      { size: 2, reads: 2, writes: 0 },
      { size: 4, reads: 3, writes: 0 },
      { size: 8, reads: 4, writes: 0 },
      { size: 0, reads: 5, writes: 1 },
    ]);
  });

  test('leaves out sizes that did not occur, and has its stages', () => {
    const row = new RequestRow('client', MMIO);
    row.count(4, false);
    row.wait.record(1);
    row.work.record(2);
    row.wake.record(3);
    row.total.record(6);
    const { sizes, stages } = row.snapshot();
    assert.deepEqual(sizes, [{ size: 4, reads: 0, writes: 1 }]);
    assert.deepEqual([stages.wait.sumNs, stages.work.sumNs, stages.wake.sumNs, stages.total.sumNs], [1, 2, 3, 6]);
  });
});

test('a snapshot has the sums by type, by client and by range', () => {
  const rows = new RequestRows();
  rows.find('uart', PORT, 0x3f8, 0, () => [UART]).count(1, true);
  rows.find('uart', PORT, 0x3f8, 0, none).count(1, true);
  rows.find('uart', PORT, 0x60, 0, none).count(1, false);
  rows.find('disk', MMIO, 0, 0, none).count(4, false);
  const { types, clients, ranges } = rows.snapshot();
  const brief = (list: typeof types): unknown[] => list.map(({ name, reads, writes }) => [name, reads, writes]);
  assert.deepEqual(brief(types), [
    ['port', 2, 1],
    ['mmio', 0, 1],
  ]);
  assert.deepEqual(brief(clients), [
    ['uart', 2, 1],
    ['disk', 0, 1],
  ]);
  assert.deepEqual(brief(ranges), [
    ['uart: port 0x3f8…0x3ff', 2, 0],
    ['disk: mmio', 0, 1],
    ['uart: port', 0, 1],
  ]);
});
