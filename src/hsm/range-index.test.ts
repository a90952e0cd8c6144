import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bucketOf, NO_RANK, RangeIndex, SCAN_NEEDED, type RankedRange } from './range-index.js';

const PAGE = 4096;
const LIMIT = 2 ** 44;

const indexOf = (...ranges: (readonly [start: number | bigint, end: number | bigint])[]): RangeIndex =>
  new RangeIndex(ranges.map(([start, end], rank) => ({ start: BigInt(start), end: BigInt(end), rank })));

const half = (value: number, shift: bigint): number => Number(BigInt.asIntN(32, BigInt(value) >> shift));
const find = (index: RangeIndex, address: number, last: number): number =>
  index.find(half(address, 0n), half(address, 32n), half(last, 0n), half(last, 32n));

/** A walk over the list. */
function walk(ranges: readonly RankedRange[], address: number, last: number): number {
  return ranges.find(({ start, end }) => start <= BigInt(address) && BigInt(last) <= end)?.rank ?? NO_RANK;
}

describe('the first range that contains a complete access', () => {
  test('is a rank from 0 on, below the sentinels’ numbers', () => {
    assert.deepEqual([NO_RANK, SCAN_NEEDED], [0xffff, -1]);
    assert.equal(find(indexOf([0, 3], [8, 11]), 8, 11), 1);
  });

  test('an empty index contains no access', () => {
    assert.equal(find(indexOf(), 0, 3), NO_RANK);
    assert.equal(find(indexOf(), LIMIT - 4, LIMIT - 1), NO_RANK);
  });

  test('inside of one range, at its edges, and across the boundary of two', () => {
    const index = indexOf([0x1002, 0x1003], [0x1000, 0x1007]);
    assert.equal(find(index, 0x1002, 0x1003), 0);
    assert.equal(find(index, 0x1003, 0x1004), 1, 'the wider one contains it');
    assert.equal(find(index, 0x1001, 0x1002), 1);
    assert.equal(find(index, 0x1007, 0x1008), NO_RANK);
    assert.equal(find(index, 0xfff, 0x1000), NO_RANK);
    assert.equal(find(index, 0x1001, 0x1004), SCAN_NEEDED, 'it spans a segment');
  });

  test('a range of many pages is found in its middle, and so is a short one inside it', () => {
    const index = indexOf([0x40_2010, 0x40_2010], [0x10_0000, 0x7f_ffff], [0xfed0_0000, 0xfed0_03ff]);
    assert.equal(find(index, 0x40_2010, 0x40_2010), 0);
    assert.equal(find(index, 0x40_2011, 0x40_2014), 1);
    assert.equal(find(index, 0x30_0000, 0x30_0007), 1);
    assert.equal(find(index, 0x7f_fffc, 0x7f_ffff), 1);
    assert.equal(find(index, 0x80_0000, 0x80_0003), NO_RANK);
    assert.equal(find(index, 0xfed0_03fc, 0xfed0_03ff), 2);
    assert.equal(find(index, 0xfed0_0400, 0xfed0_0400), NO_RANK);
  });

  test('an access of more than 4 GiB is not in the page where its last byte’s low word points', () => {
    const index = indexOf([0x1000, 0x1fff], [0x1_0000_0000, 0x1_0000_ffff]);
    assert.notEqual(find(index, 0x1000, 0x1_0000_1003), 0);
    assert.equal(find(index, 0x1000, 0x1003), 0);
  });

  test('an access that wraps or lies above 2^44 takes the walk', () => {
    const index = indexOf([0, (1n << 64n) - 1n]);
    assert.equal(find(index, LIMIT - 1, LIMIT - 1), 0);
    assert.equal(find(index, LIMIT - 1, LIMIT), SCAN_NEEDED);
    assert.equal(find(index, LIMIT, LIMIT), SCAN_NEEDED);
    assert.equal(find(index, PAGE, PAGE - 1), SCAN_NEEDED);
  });

  test('an access that wraps within a page has the answer of the page, if no range ends there', () => {
    const index = indexOf([0x1002, 0x1003], [0, 0x2fff]);
    assert.equal(find(index, 0x2004, 0x2003), 1);
    assert.equal(find(index, 0x5004, 0x5003), SCAN_NEEDED);
    assert.equal(find(index, 0x1004, 0x1003), SCAN_NEEDED);
  });

  test('pages above 4 GiB are not those of other low or high words', () => {
    const index = indexOf([0x1_0000_0000, 0x1_0000_0fff], [0x2_0000_0000, 0x2_0000_0fff], [0x100_0000, 0x100_0fff]);
    assert.equal(find(index, 0x1_0000_0010, 0x1_0000_0013), 0);
    assert.equal(find(index, 0x2_0000_0010, 0x2_0000_0013), 1);
    assert.equal(find(index, 0x100_0010, 0x100_0013), 2);
    assert.equal(find(index, 0x10_0010, 0x10_0013), NO_RANK);
  });

  test('of many open ranges the first that has not ended, in whatever order they began', () => {
    const count = 64;
    // They begin in an order that is not that of their ranks, and end in that of their ranks.
    const ranges = Array.from({ length: count }, (_, rank) => [(rank * 37) % count, 1000 + 16 * rank + 15] as const);
    const index = indexOf(...ranges);
    for (let rank = 0; rank < count; rank++) assert.equal(find(index, 1000 + 16 * rank, 1000 + 16 * rank + 7), rank);
  });

  test('ports have a table, which gives the same answers', () => {
    const ranges = [
      { start: 0n, end: 3n, rank: 0 },
      { start: 2n, end: 9n, rank: 1 },
      { start: 0xfffen, end: 0xffffn, rank: 2 },
      { start: 0x1_0000n, end: 0x1_0003n, rank: 3 },
    ];
    const index = new RangeIndex(ranges, 0x1_0000);
    const plain = new RangeIndex(ranges);
    for (const first of [0, 1, 2, 3, 4, 9, 10, 0xfffd, 0xfffe, 0xffff, 0x1_0000, 0x1_0001])
      for (const size of [1, 2, 4]) {
        const last = first + size - 1;
        assert.equal(find(index, first, last), find(plain, first, last), `${first} ${size}`);
        if (find(index, first, last) !== SCAN_NEEDED) assert.equal(find(index, first, last), walk(ranges, first, last));
      }
  });

  test('agrees with a walk over the list, for ranges of all sizes and accesses at their edges', () => {
    const near = fc.integer({ min: -9, max: 9 });
    const base = fc.oneof(
      fc.integer({ min: 0, max: 64 }).map((page) => page * PAGE),
      fc.constantFrom(0x8000_0000, 0xffff_f000, 0x1_0000_0000, 0xfff_ffff_f000, LIMIT),
      fc.nat(40).map((n) => 0x5000 + n),
    );
    const at = fc.tuple(base, near).map(([page, offset]) => Math.max(0, page + offset));
    const range = fc
      .tuple(
        at,
        fc.oneof(
          fc.nat(20),
          fc.nat(40).map((n) => n * PAGE),
          at,
        ),
      )
      .map(([start, length]) => ({
        start: BigInt(start),
        end: BigInt(start + length),
      }));
    const access = fc
      .tuple(at, fc.constantFrom(1, 2, 4, 8))
      .map(([address, size]) => [address, address + size - 1] as const);
    let scanned = 0;
    let found = 0;
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 24 }),
        fc.array(access, { minLength: 40, maxLength: 80 }),
        (list, accesses) => {
          const ranges = list.map((one, rank) => ({ ...one, rank }));
          const index = new RangeIndex(ranges);
          for (const [address, last] of accesses) {
            const rank = find(index, address, last);
            if (rank === SCAN_NEEDED) scanned++;
            else {
              assert.equal(rank, walk(ranges, address, last), `${address.toString(16)}…${last.toString(16)}`);
              if (rank !== NO_RANK) found++;
            }
          }
        },
      ),
      { numRuns: 600 },
    );
    assert.ok(found > 2000 && scanned > 100 && scanned < found, `${found} found, ${scanned} left to a walk`);
  });
});

test('pages at a power-of-two stride spread over the buckets of the hash', () => {
  const SHIFT = 22;
  for (const stride of [1, 16, 256, 4096]) {
    const buckets = new Set(Array.from({ length: 400 }, (_, n) => bucketOf(0xd_0000 + n * stride, SHIFT)));
    assert.ok([...buckets].every((bucket) => bucket >= 0 && bucket < 2 ** (32 - SHIFT)));
    assert.ok(buckets.size > 200, `stride ${stride}: ${buckets.size} buckets`);
  }
});
