import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageSet } from './page-set.js';

const PAGE = 4096;

function pagesOf(set: PageSet): number[] {
  return Array.from({ length: set.count }, (_, page) => page).filter((page) => set.has(page));
}

test('a bitmap whose pages are no multiple of 64 is added from any page on, and not beyond its end', () => {
  const set = new PageSet(300 * PAGE);
  const bitmap = new Uint8Array(24);
  for (const bit of [0, 7, 8, 63, 64, 159, 160, 191]) bitmap[bit >>> 3] = (bitmap[bit >>> 3] ?? 0) | (1 << (bit & 7));
  set.addBits(0, 160, bitmap);
  assert.deepEqual(pagesOf(set), [0, 7, 8, 63, 64, 159]);
  set.addBits(192 + 3, 9, bitmap);
  assert.deepEqual(pagesOf(set), [0, 7, 8, 63, 64, 159, 195, 202, 203]);
});

test('a page outside of the RAM is in no set, and cannot be added', () => {
  const set = new PageSet(3 * PAGE);
  set.add(2);
  for (const page of [-1, 3, 8, 1000]) {
    assert.equal(set.has(page), false);
    assert.throws(() => set.add(page), RangeError);
  }
  assert.throws(() => set.addBits(2, 2, Uint8Array.of(3)), RangeError);
});
