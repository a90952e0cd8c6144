import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LatencyHistogram } from './latency-histogram.js';
import {
  COUNTED_SIZES,
  diffStatistics,
  mergeRows,
  mergeStatistics,
  NO_STATISTICS,
  type StatisticsRow,
  type StatisticsSnapshot,
} from './statistics-snapshot.js';

/** Objects as everybody else makes them. */
const PLAIN = { noNullPrototype: true } as const;

const latency = fc.array(fc.nat(10_000_000), { maxLength: 8 }).map((values) => {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram.snapshot();
});
const counts = fc
  .record({ reads: fc.nat(50), writes: fc.nat(50) }, PLAIN)
  .filter(({ reads, writes }) => reads + writes > 0);
const name = fc.constantFrom('uart16550', 'default', 'disk', 'hsm', 'keyboard');

const row: fc.Arbitrary<StatisticsRow> = fc
  .tuple(
    name,
    fc.uniqueArray(fc.tuple(fc.constantFrom(...COUNTED_SIZES), counts), { minLength: 1, selector: ([size]) => size }),
    fc.record({ wait: latency, work: latency, wake: latency, total: latency }, PLAIN),
  )
  .map(([rowName, sizes, stages]) => ({
    name: rowName,
    reads: sizes.reduce((sum, [, { reads }]) => sum + reads, 0),
    writes: sizes.reduce((sum, [, { writes }]) => sum + writes, 0),
    sizes: sizes
      .map(([size, of]) => ({ size, ...of }))
      .sort((a, b) => COUNTED_SIZES.indexOf(a.size) - COUNTED_SIZES.indexOf(b.size)),
    stages,
  }));
const address = fc.tuple(name, counts, fc.nat(100), fc.nat(1_000_000)).map(([rowName, of, timed, sumNs]) => ({
  name: rowName,
  ...of,
  timed,
  sumNs,
}));
const errors = fc
  .record({ name, errors: fc.nat(9), late: fc.nat(9) }, PLAIN)
  .filter((one) => one.errors + one.late > 0);

function list<T extends { readonly name: string }>(
  one: fc.Arbitrary<T>,
  size: (row: T) => number,
): fc.Arbitrary<readonly T[]> {
  return fc
    .uniqueArray(one, { maxLength: 5, selector: (made) => made.name })
    .map((rows) => [...rows].sort((a, b) => size(b) - size(a) || (a.name < b.name ? -1 : 1)));
}
const bySize = ({ reads, writes }: { readonly reads: number; readonly writes: number }): number => reads + writes;

const snapshot: fc.Arbitrary<StatisticsSnapshot> = fc.record(
  {
    requests: fc.nat(1000),
    guestErrors: fc.nat(10),
    types: list(row, bySize),
    clients: list(row, bySize),
    ranges: list(row, bySize),
    addresses: list(address, bySize),
    unclaimed: list(address, bySize),
    clientErrors: list(errors, (one) => one.errors + one.late),
  },
  PLAIN,
);

test('a sum minus its first part is its second part', () => {
  fc.assert(
    fc.property(snapshot, snapshot, (a, b) => {
      assert.deepEqual(diffStatistics(mergeStatistics(a, b), a), b);
    }),
    { seed: 4, numRuns: 200 },
  );
});

test('addition is commutative and associative, and the empty snapshot is its identity', () => {
  fc.assert(
    fc.property(snapshot, snapshot, snapshot, (a, b, c) => {
      assert.deepEqual(mergeStatistics(a, b), mergeStatistics(b, a));
      assert.deepEqual(mergeStatistics(mergeStatistics(a, b), c), mergeStatistics(a, mergeStatistics(b, c)));
      assert.deepEqual(mergeStatistics(a, NO_STATISTICS), a);
      assert.deepEqual(diffStatistics(a, a), NO_STATISTICS);
    }),
    { seed: 5, numRuns: 100 },
  );
});

test('a snapshot survives JSON', () => {
  fc.assert(
    fc.property(snapshot, (a) => assert.deepEqual(JSON.parse(JSON.stringify(a)), a)),
    { seed: 6, numRuns: 50 },
  );
});

const STAGES_OF_1: StatisticsRow['stages'] = {
  wait: { count: 1, sumNs: 1, buckets: [[1, 1]] },
  work: { count: 1, sumNs: 2, buckets: [[2, 1]] },
  wake: { count: 1, sumNs: 3, buckets: [[3, 1]] },
  total: { count: 1, sumNs: 6, buckets: [[6, 1]] },
};
const rowOf = (rowName: string, reads: number, writes = 0): StatisticsRow => ({
  name: rowName,
  reads,
  writes,
  sizes: [{ size: 1, reads, writes }],
  stages: STAGES_OF_1,
});

test('the sizes with a count of their own are 1, 2, 4 and 8 bytes', () => {
  assert.deepEqual(COUNTED_SIZES, [1, 2, 4, 8, 0]);
});

test('rows of the same name are one row, and rows of as many requests are sorted by name', () => {
  const rows = mergeRows([rowOf('c', 1), rowOf('b', 2), rowOf('a', 1), rowOf('c', 0, 1)]);
  assert.deepEqual(
    rows.map((one) => [one.name, one.reads, one.writes]),
    [
      ['b', 2, 0],
      ['c', 1, 1],
      ['a', 1, 0],
    ],
  );
  assert.deepEqual(rows[1]?.stages.total, { count: 2, sumNs: 12, buckets: [[6, 2]] });
  assert.deepEqual(
    mergeRows([rowOf('d', 1), rowOf('c', 1), rowOf('e', 1)]).map((one) => one.name),
    ['c', 'd', 'e'],
  );
});

test('what only the earlier snapshot has is negative in the difference', () => {
  const only: StatisticsSnapshot = {
    ...NO_STATISTICS,
    clients: [rowOf('disk', 2, 1)],
    addresses: [{ name: 'port 0x060', reads: 1, writes: 2, timed: 3, sumNs: 4 }],
    clientErrors: [{ name: 'disk', errors: 1, late: 2 }],
  };
  const { clients, addresses, clientErrors } = diffStatistics(NO_STATISTICS, only);
  assert.deepEqual(clients[0]?.sizes, [{ size: 1, reads: -2, writes: -1 }]);
  assert.deepEqual([clients[0].reads, clients[0].writes], [-2, -1]);
  assert.deepEqual(clients[0].stages.work, { count: -1, sumNs: -2, buckets: [[2, -1]] });
  assert.deepEqual(addresses, [{ name: 'port 0x060', reads: -1, writes: -2, timed: -3, sumNs: -4 }]);
  assert.deepEqual(clientErrors, [{ name: 'disk', errors: -1, late: -2 }]);
});
