import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PAGE_BYTES } from '../io-request/layout.js';
import { createRingPage, RING_DATA_BYTES, RingResult, ringElements, SharedRing } from './shared-ring.js';

const HEAD = 4;
const TAIL = 5;

function make(elementBytes: number, elements: number): { ring: SharedRing; words: Int32Array } {
  const page = new SharedArrayBuffer(PAGE_BYTES);
  createRingPage(elementBytes, new Uint8Array(page));
  return { ring: new SharedRing(page, elementBytes, elements), words: new Int32Array(page) };
}

describe('the header', () => {
  test("is ACRN's: 504 kicks of 8 bytes in a page", () => {
    const page = createRingPage(8);
    const view = new DataView(page.buffer);
    assert.equal(view.getBigUint64(0, true), 0x5aa5_7aa7_1aa1_3aa3n);
    assert.equal(view.getUint32(8, true), 504);
    assert.equal(view.getUint32(12, true), 8);
    assert.equal(view.getUint32(36, true), RING_DATA_BYTES);
    assert.equal(ringElements(page, 8), 504);
  });

  for (const [what, offset, value] of [
    ['the magic', 0, 1],
    ['the element size', 12, 16],
    ['more elements than the page has room for', 8, 505],
    ['a single element', 8, 1],
  ] as const) {
    test(`${what} makes the page an invalid ring`, () => {
      const page = createRingPage(8);
      new DataView(page.buffer).setUint32(offset, value, true);
      assert.equal(ringElements(page, 8), 0);
    });
  }
});

describe('a ring', () => {
  test('gives what was put, in order, around its end', () => {
    const { ring } = make(8, 4);
    const element = new Int32Array(2);
    for (let i = 0; i < 10; i++) {
      assert.equal(ring.put(Int32Array.of(i, 0 - i)), RingResult.DONE);
      assert.equal(ring.isEmpty, false);
      assert.equal(ring.take(element), RingResult.DONE);
      assert.deepEqual([...element], [i, 0 - i]);
      assert.equal(ring.take(element), RingResult.BUSY);
      assert.equal(ring.isEmpty, true);
    }
  });

  test('with N elements holds at most N - 1', () => {
    const { ring } = make(8, 4);
    for (let i = 0; i < 3; i++) assert.equal(ring.put(Int32Array.of(i, 0)), RingResult.DONE);
    assert.equal(ring.isFull, true);
    assert.equal(ring.put(Int32Array.of(9, 0)), RingResult.BUSY);
    ring.take(new Int32Array(2));
    assert.equal(ring.isFull, false);
  });

  for (const [what, word, offset] of [
    ['a head beyond the data', HEAD, 32],
    ['a negative head', HEAD, -8],
    ['a head between elements', HEAD, 4],
    ['a tail beyond the data', TAIL, 0x7fff_fff8],
    ['a tail between elements', TAIL, 1],
  ] as const) {
    test(`${what} is corrupt: put and take do nothing, and the ring counts as empty`, () => {
      const { ring, words } = make(8, 4);
      ring.put(Int32Array.of(1, 0));
      words[word] = offset;
      const before = words.slice();
      assert.equal(ring.put(Int32Array.of(2, 0)), RingResult.CORRUPT);
      assert.equal(ring.take(new Int32Array(2)), RingResult.CORRUPT);
      assert.equal(ring.isEmpty, true);
      assert.deepEqual(words, before);
    });
  }
});
