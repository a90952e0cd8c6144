import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WordPlaces } from './word-places.js';

test('each word has a place of its own, however large its buffer is', () => {
  const places = new WordPlaces(10, () => undefined);
  const words = [
    [0, 0],
    [0, 0x1_0000],
    [1, 0],
    [1, 0x7fff_ffff],
    [2, 0],
  ] as const;
  assert.deepEqual(
    words.map(([buffer, index]) => places.place(buffer, index)),
    [10, 11, 12, 13, 14],
  );
  for (const [buffer, index] of words)
    assert.deepEqual(places.addressAt(places.place(buffer, index)), { buffer, index });
});
