import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtectedPages } from './protected-pages.js';

const MIB = 1 << 20;

test('a page is protected from its first byte to its last, in every thread’s view', () => {
  const mine = new ProtectedPages(MIB);
  const theirs = new ProtectedPages(mine.buffer);
  mine.set(0x5000, true);
  assert.deepEqual(
    [0x4fff, 0x5000, 0x5800, 0x5fff, 0x6000].map((address) => theirs.has(address)),
    [false, true, true, true, false],
  );
});

test('each page of the RAM can be protected by itself, and nothing outside of it is', () => {
  const pages = new ProtectedPages(2 * MIB);
  for (let address = 0; address < 2 * MIB; address += 0x1000) {
    pages.set(address, true);
    assert.equal(pages.lowest, address);
    assert.ok(pages.has(address) && !pages.has(address + 0x1000) && !pages.has(address - 1));
    pages.set(address, false);
  }
  assert.equal(pages.lowest, Infinity);
  for (const address of [2 * MIB, 0xd000_0000, 0xffff_ffff, 2 ** 32, 2 ** 52 - 1])
    assert.equal(pages.has(address), false);
});

test('RAM of 3 GiB has its own bits up to the last page', () => {
  const pages = new ProtectedPages(3 * 2 ** 30);
  const last = 3 * 2 ** 30 - 0x1000;
  pages.set(last, true);
  assert.ok(pages.has(last + 0xfff));
  assert.equal(pages.lowest, last);
});

test('only an effective change advances the generation', () => {
  const pages = new ProtectedPages(MIB);
  const before = pages.changes;
  pages.set(0x3000, false);
  assert.deepEqual([pages.any, pages.hasChangedSince(before)], [false, false]);
  pages.set(0x3000, true);
  assert.deepEqual([pages.any, pages.hasChangedSince(before)], [true, true]);
  const between = pages.changes;
  pages.set(0x3000, true);
  assert.deepEqual([pages.any, pages.hasChangedSince(between)], [true, false]);
  pages.set(0x4000, true);
  pages.set(0x3000, false);
  assert.deepEqual([pages.any, pages.lowest], [true, 0x4000]);
  pages.set(0x4000, false);
  assert.deepEqual([pages.any, pages.hasChangedSince(between)], [false, true]);
});
