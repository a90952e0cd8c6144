/**
 * RangeIndex: answers which range of an ordered list is the first that contains an access, in
 * constant or logarithmic time instead of a scan of the list. The answer is exactly the scan's.
 *
 * Called by: AddressMap, which builds one index for ports and one for MMIO, and builds them again
 * after a change of its list.
 *
 * Ranges may overlap. Their starts and ends cut the address space into segments: within a segment
 * every address has the same ranges. So the answer for an access that lies in one segment, or
 * crosses into the next one, is known beforehand:
 *
 * - `covering`: the first range of the list that covers the segment.
 * - `bridging`: the first range that covers both the segment and the next one.
 *
 * An access that touches three segments is rare: a range or gap of less than 8 bytes lies inside
 * it. For it the index returns SCAN_NEEDED.
 *
 * Three structures find the segment of an address, for the three kinds of access:
 *
 * - a table indexed by address, for ports
 * - a hash of 4-KiB pages, for MMIO. It holds each page that contains a segment boundary, and all
 *   pages of short covered segments. If a page lies in one segment, its entry holds the answer
 *   itself.
 * - a binary search over the long segments, for pages that are not in the hash
 */

/** Sentinel: no range contains the access. */
export const NO_RANK = 0xffff;
/** Sentinel: the index has no answer for this access. The caller must scan the list. */
export const SCAN_NEEDED = -1;

/**
 * The index covers addresses below 2^44, so that a page number fits into an int32. Above it the
 * caller scans. This is the upper word of that limit.
 */
const LIMIT_HIGH = 2 ** 12;
/** 2^32, the weight of an address's upper word. */
const WORD = 2 ** 32;
/** The limit itself, exclusive. */
const LIMIT = LIMIT_HIGH * WORD;
const PAGE = 4096;
/** A covered segment of at most this many pages has all of them in the hash. */
const SHORT_PAGES = 16;
const PAGE_SHIFT = 12;
/** 2^32 divided by the golden ratio, see `bucketOf`. */
const GOLDEN = 0x9e37_79b1;
/** In an entry's first segment: the entry is unused. */
const EMPTY = -1;
/** In place of an entry's rank: the page has several segments, or the entry is unused. */
const DIVIDED = EMPTY;
/** Words of a hash entry. Word 0 is the page number. */
const FIRST_SEGMENT = 1;
const LAST_SEGMENT = 2;
/** The rank of the range that covers the page, or DIVIDED. */
const RANK = 3;
const ENTRY_WORDS = 4;
/** Maximum table length: there are 65,536 ports. */
const MAX_TABLE = 0x1_0000;

/** A range of the list. `rank` is its position in AddressMap's list. 0 is the first. */
export interface RankedRange {
  readonly start: bigint;
  /** Inclusive. */
  readonly end: bigint;
  readonly rank: number;
}

/**
 * Fibonacci hashing: drops the lower `shift` bits of the product. They would put pages at a
 * power-of-two stride, as aligned BARs are, into few buckets. Exported for its test.
 */
export function bucketOf(page: number, shift: number): number {
  return Math.imul(page, GOLDEN) >>> shift;
}

export class RangeIndex {
  /** First addresses of the segments, ascending. The first is 0, and LIMIT follows the last. */
  readonly #starts: Float64Array;
  /** By segment: the rank that covers it, and the rank that covers it and the next one. */
  readonly #covering: Uint16Array;
  readonly #bridging: Uint16Array;
  /** Segment by address, for the lowest addresses. */
  readonly #table: Int32Array;
  /** The hash: entries of ENTRY_WORDS. A collision takes the next free entry. */
  readonly #pages: Int32Array;
  /** Number of entries − 1. */
  readonly #mask: number;
  /** For `bucketOf`. */
  readonly #shift: number;
  /** Long segments that a range covers, ascending. */
  readonly #long: Int32Array;

  /** `ranges` in the list's order. The lowest `tableLength` addresses get a table. */
  constructor(ranges: readonly RankedRange[], tableLength = 0) {
    const { starts, covering, bridging } = cut(ranges);
    this.#starts = starts;
    this.#covering = covering;
    this.#bridging = bridging;
    const { pages, long } = splitIntoPages(starts, covering);
    this.#long = Int32Array.from(long);
    let entries = 2;
    while (entries < pages.size * 2) entries *= 2;
    this.#mask = entries - 1;
    this.#shift = Math.clz32(this.#mask);
    this.#pages = new Int32Array(entries * ENTRY_WORDS).fill(EMPTY);
    for (const [page, [first, last]] of pages) {
      let at = bucketOf(page, this.#shift);
      while (this.#pages[(at & this.#mask) * ENTRY_WORDS + FIRST_SEGMENT] !== EMPTY) at++;
      const rank = first === last ? (covering[first] as number) : DIVIDED;
      this.#pages.set([page | 0, first, last, rank], (at & this.#mask) * ENTRY_WORDS);
    }
    this.#table = new Int32Array(Math.min(tableLength, MAX_TABLE));
    for (let segment = 0; (starts[segment] as number) < this.#table.length; segment++)
      this.#table.fill(segment, starts[segment], starts[segment + 1]);
  }

  /**
   * Returns the rank of the first range that contains the access, NO_RANK, or SCAN_NEEDED. The
   * addresses of its first and last byte are int32 words: V8 does not box those, and this path must
   * not allocate.
   */
  find(low: number, high: number, lastLow: number, lastHigh: number): number {
    if (high >>> 0 >= LIMIT_HIGH) return SCAN_NEEDED;
    // Within one page: integer arithmetic only. A range has all of an undivided page or nothing, so
    // that it does not matter whether the access wraps.
    if (high === lastHigh && low >>> PAGE_SHIFT === lastLow >>> PAGE_SHIFT) {
      const entry = this.#entryOf((low >>> PAGE_SHIFT) | (high << (32 - PAGE_SHIFT)));
      const rank = this.#pages[entry + RANK] as number;
      if (rank !== DIVIDED) return rank;
    }
    const address = high * WORD + (low >>> 0);
    const last = lastHigh * WORD + (lastLow >>> 0);
    // The access wraps, or it ends above 2^63, where the upper word is a negative int32.
    if (last < address) return SCAN_NEEDED;
    const segment = address < this.#table.length ? (this.#table[address] as number) : this.#segmentOf(address);
    if (segment < 0) return NO_RANK;
    const starts = this.#starts;
    if (last < (starts[segment + 1] as number)) return this.#covering[segment] as number;
    // False after the last segment, which has no next one.
    if (last < (starts[segment + 2] as number)) return this.#bridging[segment] as number;
    return SCAN_NEEDED;
  }

  /** Without a range −1 or, on a page of the hash, a segment whose rank is NO_RANK. */
  #segmentOf(address: number): number {
    const entry = this.#entryOf(Math.floor(address / PAGE) | 0);
    const first = this.#pages[entry + FIRST_SEGMENT] as number;
    if (first === EMPTY) return this.#longSegmentOf(address);
    return this.#within(address, first, this.#pages[entry + LAST_SEGMENT] as number);
  }

  /** Index of the page's hash entry, or of an empty one. */
  #entryOf(page: number): number {
    const pages = this.#pages;
    const mask = this.#mask;
    for (let at = bucketOf(page, this.#shift); ; at++) {
      const entry = (at & mask) * ENTRY_WORDS;
      if (pages[entry] === page || pages[entry + FIRST_SEGMENT] === EMPTY) return entry;
    }
  }

  /**
   * Binary search: the last of the segments `low` to `high` that starts at or before the address.
   */
  #within(address: number, low: number, high: number): number {
    const starts = this.#starts;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] as number) <= address) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #longSegmentOf(address: number): number {
    const long = this.#long;
    let low = 0;
    let high = long.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const segment = long[middle] as number;
      if (address < (this.#starts[segment] as number)) high = middle - 1;
      else if (address >= (this.#starts[segment + 1] as number)) low = middle + 1;
      else return segment;
    }
    return -1;
  }
}

/**
 * Cuts the addresses below LIMIT at every start and after every end. A sweep from segment to
 * segment keeps the ranks of the ranges that are open, and takes the lowest.
 */
function cut(ranges: readonly RankedRange[]): { starts: Float64Array; covering: Uint16Array; bridging: Uint16Array } {
  const begins: (readonly [at: number, rank: number])[] = [];
  const ends: (readonly [at: number, rank: number])[] = [];
  const boundaries = new Set([0, LIMIT]);
  for (const { start, end, rank } of ranges) {
    if (start >= LIMIT) continue;
    const after = end >= LIMIT ? LIMIT : Number(end) + 1;
    begins.push([Number(start), rank]);
    ends.push([after, rank]);
    boundaries.add(Number(start)).add(after);
  }
  const starts = Float64Array.from(boundaries).sort();
  begins.sort((a, b) => a[0] - b[0]);
  ends.sort((a, b) => a[0] - b[0]);
  const covering = new Uint16Array(starts.length - 1);
  const bridging = new Uint16Array(starts.length - 1);
  const open = new OpenRanks();
  let began = 0;
  let ended = 0;
  for (let segment = 0; segment < covering.length; segment++) {
    const start = starts[segment] as number;
    for (let next = begins[began]; next !== undefined && next[0] <= start; next = begins[++began]) open.add(next[1]);
    covering[segment] = open.first();
    const end = starts[segment + 1] as number;
    for (let next = ends[ended]; next !== undefined && next[0] <= end; next = ends[++ended]) open.remove(next[1]);
    // What is still open reaches into the next segment.
    bridging[segment] = open.first();
  }
  return { starts, covering, bridging };
}

/**
 * Returns the pages for the hash, each with its first and last segment, and the covered segments
 * that are too long for it.
 */
function splitIntoPages(
  starts: Float64Array,
  covering: Uint16Array,
): { pages: Map<number, [first: number, last: number]>; long: number[] } {
  const pages = new Map<number, [first: number, last: number]>();
  const long: number[] = [];
  const put = (page: number, segment: number): void => {
    const known = pages.get(page);
    if (known === undefined) pages.set(page, [segment, segment]);
    else known[1] = segment;
  };
  for (let segment = 0; segment < covering.length; segment++) {
    const first = Math.floor((starts[segment] as number) / PAGE);
    const last = Math.floor(((starts[segment + 1] as number) - 1) / PAGE);
    const isOwned = covering[segment] !== NO_RANK;
    if (isOwned && last - first < SHORT_PAGES) for (let page = first; page <= last; page++) put(page, segment);
    else {
      put(first, segment);
      if (last !== first) put(last, segment);
      if (isOwned) long.push(segment);
    }
  }
  return { pages, long };
}

/**
 * The ranks of the ranges that cover the current segment, lowest first: a binary min-heap. A
 * removed rank stays in the heap until it reaches the top.
 */
class OpenRanks {
  readonly #heap: number[] = [];
  readonly #removed = new Set<number>();

  add(rank: number): void {
    const heap = this.#heap;
    let at = heap.push(rank) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent] as number) <= rank) break;
      heap[at] = heap[parent] as number;
      at = parent;
    }
    heap[at] = rank;
  }

  remove(rank: number): void {
    this.#removed.add(rank);
  }

  first(): number {
    while (this.#removed.delete(this.#heap[0] as number)) this.#pop();
    return this.#heap[0] ?? NO_RANK;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as number;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++;
      if ((heap[child] as number) >= last) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = last;
  }
}
