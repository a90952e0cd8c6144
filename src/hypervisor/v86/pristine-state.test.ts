import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PristineState } from './pristine-state.js';

const RAM = { start: 100_000, end: 200_000 };
const HEAP = { start: 300_000, end: 400_000 };

test('all bytes are restored except those of the RAM and of the free heap', () => {
  const buffer = new SharedArrayBuffer(600_000);
  const bytes = new Uint8Array(buffer);
  const kept = [0, 99_999, 200_000, 250_000, 299_999, 400_000, 599_999];
  const left = [RAM.start, RAM.end - 1, HEAP.start, HEAP.end - 1];
  for (const at of kept) bytes[at] = at % 2;
  const pristine = new PristineState(buffer, RAM, HEAP);
  for (const at of [...kept, ...left]) bytes[at] = 77;
  pristine.restore(buffer);
  for (const at of kept) assert.equal(bytes[at], at % 2);
  for (const at of left) assert.equal(bytes[at], 77);
});

test('the order of RAM and heap does not matter, and zeros are not kept', () => {
  const buffer = new SharedArrayBuffer(600_000);
  const bytes = new Uint8Array(buffer);
  const pristine = new PristineState(buffer, HEAP, RAM);
  assert.equal(pristine.size, 0);
  bytes.fill(1);
  pristine.restore(buffer);
  assert.equal(bytes[50_000], 0);
  assert.equal(bytes[150_000], 1);
  assert.equal(bytes[350_000], 1);
  assert.equal(bytes[450_000], 0);
});
