import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomNumbers } from './random-search.js';

test('a seed gives the same numbers each time, other seeds others, over the whole range', () => {
  const [a, b, c] = [randomNumbers(1), randomNumbers(1), randomNumbers(2)];
  const draw = (random: (below: number) => number): number[] => Array.from({ length: 100 }, () => random(10));
  const first = draw(a);
  assert.deepEqual(draw(b), first);
  assert.notDeepEqual(draw(c), first);
  assert.equal(new Set(first).size, 10);
});
