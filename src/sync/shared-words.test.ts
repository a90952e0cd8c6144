import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LINES_APART, SharedWords } from './shared-words.js';

test('new words are 0, and two views of the same buffer see the same words', () => {
  const words = new SharedWords(3);
  const view = new SharedWords(words.buffer);
  assert.equal(view.length, words.length);
  assert.ok(view.length >= 3 + LINES_APART / 4);
  assert.deepEqual(
    [0, 1, 2].map((index) => view.load(index)),
    [0, 0, 0],
  );
  words.store(1, -5);
  assert.equal(view.load(1), -5);
  view.storeRelaxed(2, 9);
  assert.equal(words.loadRelaxed(2), 9);
});

test('add, or, and, exchange return the previous value', () => {
  const words = new SharedWords(1);
  assert.equal(words.add(0, 5), 0);
  assert.equal(words.or(0, 8), 5);
  assert.equal(words.and(0, 9), 13);
  assert.equal(words.exchange(0, 77), 9);
  assert.equal(words.load(0), 77);
});

test('move happens only from the expected value', () => {
  const words = new SharedWords(1);
  assert.equal(words.move(0, 1, 2), false);
  assert.equal(words.load(0), 0);
  assert.equal(words.move(0, 0, 2), true);
  assert.equal(words.load(0), 2);
});
