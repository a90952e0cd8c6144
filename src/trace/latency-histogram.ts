/**
 * LatencyHistogram: a distribution of durations in ns, with the buckets of HdrHistogram: 32 to each
 * power of two, so a value is known to 3 %.
 *
 * Called by: RequestRow, one for each stage of a request; four values are recorded for each timed
 * request.
 *
 * Recording is one addition in an array, because it happens in the thread that serves the next
 * request (decision 8). A snapshot is plain data that can be added and subtracted.
 */

/** Buckets to each power of two, and the base-2 logarithm of that. */
const SUB_BUCKETS = 32;
const SUB_BITS = 5;
/** Values of 2^40 ns (18 minutes) and more share the last bucket. */
const MAX_BITS = 40;
const BUCKETS = (MAX_BITS - SUB_BITS + 1) * SUB_BUCKETS;
/** Below this, a value's bucket is computed by shifts of 32-bit numbers. */
const SMALL = 2 ** 30;
/** Greater values are divided by 2^16 first, which is 16 powers of two fewer. */
const HIGH_SHIFT = 16;
const HIGH = 2 ** HIGH_SHIFT;

/** Plain data, as `vm.statistics()` gives it. */
export interface LatencySnapshot {
  readonly count: number;
  /** Sum of all values, in ns. */
  readonly sumNs: number;
  /**
   * Each bucket that is not empty, lowest first, with the count of its values. `bucketEndNs`
   * returns a bucket's upper bound.
   */
  readonly buckets: readonly (readonly [bucket: number, count: number])[];
}

export const NO_LATENCY: LatencySnapshot = { count: 0, sumNs: 0, buckets: [] };

export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #sumNs = 0;

  /** `ns`: whole ns. Negative values and NaN count as 0. */
  record(ns: number): void {
    const value = ns > 0 ? ns : 0;
    const bucket = bucketOf(value);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sumNs += value;
  }

  snapshot(): LatencySnapshot {
    const buckets: [number, number][] = [];
    let count = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const here = this.#counts[bucket] as number;
      if (here === 0) continue;
      buckets.push([bucket, here]);
      count += here;
    }
    return { count, sumNs: this.#sumNs, buckets };
  }
}

/** The bucket of a duration, from 0 up. */
export function bucketOf(ns: number): number {
  if (ns < SMALL) return smallBucket(ns | 0);
  if (!(ns < 2 ** MAX_BITS)) return BUCKETS - 1;
  return smallBucket(Math.floor(ns / HIGH)) + HIGH_SHIFT * SUB_BUCKETS;
}

/**
 * The bucket of an int32. Values below 64 have one each. From greater ones `shift` low bits are
 * dropped, so that 32 to 63 are left: 32 buckets for each `shift`, which follow on each other.
 */
function smallBucket(ns: number): number {
  const shift = ns < 2 * SUB_BUCKETS ? 0 : 31 - SUB_BITS - Math.clz32(ns);
  return shift * SUB_BUCKETS + (ns >> shift);
}

/** The bucket's upper bound in ns, exclusive: the inverse of `smallBucket`. */
export function bucketEndNs(bucket: number): number {
  if (bucket < 2 * SUB_BUCKETS) return bucket + 1;
  const shift = Math.floor(bucket / SUB_BUCKETS) - 1;
  return ((bucket % SUB_BUCKETS) + SUB_BUCKETS + 1) * 2 ** shift;
}

/**
 * The value that at least `percent` (0 to 100) of all values do not exceed, to the resolution of
 * the buckets. Undefined if there are no values.
 */
export function percentileNs({ count, buckets }: LatencySnapshot, percent: number): number | undefined {
  let left = Math.max(1, Math.ceil((count * percent) / 100));
  for (const [bucket, here] of buckets) {
    left -= here;
    if (left <= 0) return bucketEndNs(bucket) - 1;
  }
  return undefined;
}

/**
 * Returns `a` plus `sign` times `b`. Both lists of buckets are sorted, so one pass merges them.
 */
export function addLatency(a: LatencySnapshot, b: LatencySnapshot, sign: 1 | -1 = 1): LatencySnapshot {
  if (isNothing(b)) return a;
  if (isNothing(a) && sign === 1) return b;
  const buckets: (readonly [number, number])[] = [];
  const [first, second] = [a.buckets, b.buckets];
  for (let i = 0, j = 0; i < first.length || j < second.length;) {
    const x = first[i];
    const y = second[j];
    const bucket = Math.min(x?.[0] ?? Infinity, y?.[0] ?? Infinity);
    let count = 0;
    if (x?.[0] === bucket) {
      count += x[1];
      i++;
    }
    if (y?.[0] === bucket) {
      count += sign * y[1];
      j++;
    }
    if (count !== 0) buckets.push([bucket, count]);
  }
  return { count: a.count + sign * b.count, sumNs: a.sumNs + sign * b.sumNs, buckets };
}

function isNothing({ sumNs, buckets }: LatencySnapshot): boolean {
  return buckets.length === 0 && sumNs === 0;
}
