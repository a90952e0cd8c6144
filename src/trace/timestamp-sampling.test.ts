import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BURST_MS,
  FIRST_REQUESTS,
  TIMED_EVERY,
  TIMED_EVERY_AT_FIRST,
  TimestampSampling,
} from './timestamp-sampling.js';

/** The requests of a burst, by number, that get all times. */
function full(from: number, count: number): number[] {
  const sampling = new TimestampSampling(BURST_MS);
  sampling.observe(1);
  sampling.observe(1);
  const numbers = Array.from({ length: count }, (_, i) => from + i);
  return numbers.filter((number) => {
    const isFull = sampling.choose(2 * number);
    assert.equal(sampling.isFull, isFull);
    assert.equal(sampling.choose(2 * number + 1), isFull, 'a request has two entries');
    return isFull;
  });
}

test('in a burst one request in 64 gets all times, and later one in 256', () => {
  assert.deepEqual([BURST_MS, TIMED_EVERY_AT_FIRST, TIMED_EVERY, FIRST_REQUESTS], [0.005, 64, 256, 4096]);
  assert.deepEqual(full(0, 200), [0, 64, 128, 192]);
  assert.deepEqual(full(4096 - 64, 64 + 600), [4096 - 64, 4096, 4352, 4608]);
});

test('numbers wrap, which only means that a slot’s requests are its later ones', () => {
  assert.deepEqual(full(2 ** 30, 300), [2 ** 30, 2 ** 30 + 256]);
});

test('a burst is requests closer than the limit, as the last two moves show', () => {
  const sampling = new TimestampSampling(10);
  assert.equal(sampling.isFull, true);
  assert.equal(sampling.choose(2), true, 'no request came before');
  sampling.observe(100);
  assert.equal(sampling.choose(2), true);
  sampling.observe(109);
  assert.equal(sampling.choose(2), false);
  sampling.observe(119);
  assert.equal(sampling.choose(2), true);
  sampling.observe(120);
  assert.equal(sampling.choose(2), false);
  sampling.reset();
  assert.equal(sampling.choose(2), true);
  sampling.observe(121);
  assert.equal(sampling.choose(2), true, 'the move before was forgotten');
});
