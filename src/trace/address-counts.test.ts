import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IoRequestType } from '../io-request/layout.js';
import { AddressCounts, addressName, MAX_ADDRESSES } from './address-counts.js';

const { PORT, MMIO, PCI, WRITE_PROTECT } = IoRequestType;

describe('the counts by address', () => {
  test('have the reads, writes and times of each address, in order of its first access', () => {
    const counts = new AddressCounts();
    assert.deepEqual(counts.snapshot(), []);
    const uart = counts.count(PORT, 0x3f8, 0, true);
    const wide = counts.count(MMIO, -4096, 0xf, false);
    assert.equal(counts.count(PORT, 0x3f8, 0, false), uart);
    assert.equal(counts.count(PORT, 0x3f8, 0, true), uart);
    counts.time(uart, 1000);
    counts.time(uart, 500);
    counts.time(wide, 7);
    assert.deepEqual(counts.snapshot(), [
      { name: 'port 0x3f8', reads: 2, writes: 1, timed: 2, sumNs: 1500 },
      { name: 'mmio 0xffffff000', reads: 0, writes: 1, timed: 1, sumNs: 7 },
    ]);
  });

  test('are apart for addresses that differ in the type or in one word', () => {
    const counts = new AddressCounts();
    const keys: readonly [number, number, number][] = [
      [PORT, 0x60, 0],
      [MMIO, 0x60, 0],
      [PORT, 0x61, 0],
      [PORT, 0x60, 1],
    ];
    const rows = keys.map((key) => counts.count(...key, true));
    assert.equal(new Set(rows).size, keys.length);
    assert.deepEqual(
      keys.map((key) => counts.count(...key, true)),
      rows,
    );
  });

  test('have a row of their own for 1024 addresses, and one for all others', () => {
    assert.equal(MAX_ADDRESSES, 1024);
    const counts = new AddressCounts();
    const all = [PORT, MMIO, PCI].flatMap((type) =>
      Array.from({ length: 600 }, (_, i) => ({ type, low: i * (type === MMIO ? 4096 : 1), high: i % 3 })),
    );
    const first = all.map(({ type, low, high }) => counts.count(type, low, high, true));
    const second = all.map(({ type, low, high }) => counts.count(type, low, high, false));
    assert.deepEqual(second, first);
    assert.deepEqual(
      first.slice(0, 1024),
      Array.from({ length: 1024 }, (_, i) => i + 1),
    );
    assert.ok(first.slice(1024).every((row) => row === 0));
    const rest = all.length - 1024;
    const snapshot = counts.snapshot();
    assert.equal(snapshot.length, 1025);
    assert.deepEqual(snapshot[0], { name: 'other addresses', reads: rest, writes: rest, timed: 0, sumNs: 0 });
    assert.deepEqual(snapshot[1024], { name: 'mmio 0x1a7000', reads: 1, writes: 1, timed: 0, sumNs: 0 });
  });
});

test('an address is named by its type: three digits for a port, bus, device and function for PCI', () => {
  assert.equal(addressName(PORT, 0x60, 0), 'port 0x060');
  assert.equal(addressName(PORT, 0x60, 1), 'port 0x100000060');
  assert.equal(addressName(PCI, 0x12_1f_02, 0), 'pci 12:1f.2');
  assert.equal(addressName(MMIO, -1, 0), 'mmio 0xffffffff');
  assert.equal(addressName(WRITE_PROTECT, 0x1000, 1), 'write-protect 0x100001000');
});
