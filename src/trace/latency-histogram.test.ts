import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addLatency, bucketEndNs, bucketOf, LatencyHistogram, NO_LATENCY, percentileNs } from './latency-histogram.js';

const values = fc.array(fc.oneof(fc.nat(200), fc.nat(2 ** 31 - 1), fc.integer({ min: 0, max: 2 ** 40 - 1 })), {
  maxLength: 50,
});

function snapshotOf(list: readonly number[]): ReturnType<LatencyHistogram['snapshot']> {
  const histogram = new LatencyHistogram();
  for (const value of list) histogram.record(value);
  return histogram.snapshot();
}

test('a value lies in its bucket, whose width is at most a thirty-second of it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 - 1 }), (value) => {
      const bucket = bucketOf(value);
      const end = bucketEndNs(bucket);
      const start = bucket === 0 ? 0 : bucketEndNs(bucket - 1);
      assert.ok(value >= start && value < end, `${value} in ${start}…${end}`);
      assert.ok(end - start <= Math.max(1, start / 32), `${start}…${end}`);
    }),
    { seed: 1, numRuns: 5000 },
  );
});

test('buckets are contiguous where their computation changes', () => {
  for (const edge of [63, 64, 127, 128, 2 ** 30 - 1, 2 ** 30, 2 ** 31, 2 ** 32])
    assert.ok(bucketOf(edge + 1) - bucketOf(edge) <= 1 && bucketOf(edge + 1) >= bucketOf(edge), `${edge}`);
});

test('an invalid duration counts as 0, and one that is too long falls into the last bucket', () => {
  const { count, buckets, sumNs } = snapshotOf([-5, NaN, Infinity, 2 ** 50]);
  assert.equal(count, 4);
  assert.deepEqual(buckets, [
    [0, 2],
    [1151, 2],
  ]);
  assert.equal(sumNs, Infinity);
});

test('the longest duration of the last bucket but those that share it is known', () => {
  assert.equal(bucketOf(2 ** 40 - 1), 1151);
  assert.equal(bucketOf(2 ** 40), 1151);
});

test('durations of 0 and 1 ns count, and a part that is missing is subtracted', () => {
  const five = snapshotOf([5]);
  for (const one of [[0], [1], [0, 0]]) {
    assert.deepEqual(addLatency(five, snapshotOf(one)), snapshotOf([...one, 5]));
    assert.deepEqual(addLatency(snapshotOf(one), five), snapshotOf([...one, 5]));
  }
  assert.deepEqual(addLatency(NO_LATENCY, five, -1), { count: -1, sumNs: -5, buckets: [[5, -1]] });
});

test('a percentile is at most a bucket above the exact one', () => {
  fc.assert(
    fc.property(values, fc.integer({ min: 0, max: 100 }), (list, percent) => {
      const got = percentileNs(snapshotOf(list), percent);
      const exact = [...list].sort((a, b) => a - b)[Math.max(0, Math.ceil((list.length * percent) / 100) - 1)];
      if (exact === undefined) assert.equal(got, undefined);
      else assert.ok(got !== undefined && got >= exact && got <= exact * (1 + 1 / 32) + 1, `${got} for ${exact}`);
    }),
    { seed: 2, numRuns: 500 },
  );
});

test('the sum of two snapshots has all values, and minus the first it is the second', () => {
  fc.assert(
    fc.property(values, values, (a, b) => {
      const sum = addLatency(snapshotOf(a), snapshotOf(b));
      assert.deepEqual(sum, snapshotOf([...a, ...b]));
      assert.deepEqual(addLatency(sum, snapshotOf(a), -1), snapshotOf(b));
    }),
    { seed: 3, numRuns: 300 },
  );
  assert.deepEqual(snapshotOf([]), NO_LATENCY);
});
