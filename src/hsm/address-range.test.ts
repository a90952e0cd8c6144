import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IoRequestType } from '../io-request/layout.js';
import { addressRange, describeRange, mmio, overlaps, ports, sameRange } from './address-range.js';

const { PORT, MMIO } = IoRequestType;
const U64 = 1n << 64n;
const INVALID = { code: 'RANGE_INVALID', errno: -22 };

test('ports and mmio refuse an invalid range, with a code and −EINVAL', () => {
  const bad = [
    () => ports(0xffff, 2),
    () => ports(0x1_0000, 1),
    () => ports(-1, 1),
    () => ports(0, 0),
    () => ports(5, -1),
    () => ports(0.5, 1),
    () => ports(0, 1.5),
    () => ports(NaN, 1),
    () => ports(0, NaN),
    () => mmio(-1, 1),
    () => mmio(0, 0),
    () => mmio(5, -1),
    () => mmio(0.5, 1),
    () => mmio(0, 1.5),
    () => mmio(NaN, 1),
    () => mmio(0, NaN),
    () => mmio(2 ** 52 - 1, 2),
    () => mmio(2 ** 52, 1),
    () => mmio(Number.MAX_SAFE_INTEGER, 2),
    () => addressRange(MMIO, 2n, 1n),
  ];
  for (const make of bad) assert.throws(make, INVALID, make.toString());
});

test('a range has its first and its last address, up to the highest port and address', () => {
  assert.deepEqual(ports(0, 1), { type: PORT, start: 0n, end: 0n });
  assert.deepEqual(ports(0xfff0, 0x10), { type: PORT, start: 0xfff0n, end: 0xffffn });
  assert.deepEqual(mmio(0, 1), { type: MMIO, start: 0n, end: 0n });
  assert.deepEqual(mmio(2 ** 52 - 4, 4), { type: MMIO, start: (1n << 52n) - 4n, end: (1n << 52n) - 1n });
});

test('a range of the driver has any 64 bits, and drops those above', () => {
  assert.deepEqual(addressRange(PORT, 1n, 1n), { type: PORT, start: 1n, end: 1n });
  assert.deepEqual(addressRange(MMIO, 0n, U64 - 1n), { type: MMIO, start: 0n, end: U64 - 1n });
  assert.deepEqual(addressRange(MMIO, U64 + 1n, U64 + 2n), { type: MMIO, start: 1n, end: 2n });
});

test('ranges overlap when they share an address of the same type', () => {
  assert.equal(overlaps(ports(0x60, 2), ports(0x61, 1)), true);
  assert.equal(overlaps(ports(0x61, 1), ports(0x60, 2)), true);
  assert.equal(overlaps(ports(0x60, 1), ports(0x61, 1)), false);
  assert.equal(overlaps(ports(0x61, 1), ports(0x60, 1)), false);
  assert.equal(overlaps(ports(0x60, 8), mmio(0x60, 8)), false);
  assert.equal(overlaps(mmio(0, 0x1000), mmio(0xfff, 1)), true);
});

test('ranges are the same when their type, start and end are', () => {
  assert.equal(sameRange(ports(0x60, 2), ports(0x60, 2)), true);
  assert.equal(sameRange(ports(0x60, 2), ports(0x60, 1)), false);
  assert.equal(sameRange(ports(0x60, 2), ports(0x61, 1)), false);
  assert.equal(sameRange(ports(0x60, 2), mmio(0x60, 2)), false);
});

test('a range is described by its type and both addresses', () => {
  assert.equal(describeRange(ports(0xcf8, 8)), 'ports 0xcf8…0xcff');
  assert.equal(describeRange(mmio(0x1000, 4)), 'MMIO 0x1000…0x1003');
});
