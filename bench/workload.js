// @ts-check
/**
 * The ranges and accesses of the one-thread cases. reference/dispatcher.c generates the same ones,
 * so that both look up the same addresses in the same order. Change both files together.
 *
 * Range r belongs to client r mod 16. Even ranges are 8 ports, odd ones a page of MMIO. Each is
 * followed by a gap of its own length, for the unclaimed accesses.
 */

export const RANGE_COUNTS = [1, 16, 64, 256, 1024, 4096];
/** For names of rows. @param {number} ranges */
export const rangeCount = (ranges) => (ranges === 1 ? '1 range' : `${ranges} ranges`);
export const CLIENTS = 16;
/**
 * `uniform`: each range gets as many accesses. `hot`: nine of ten accesses go to one range.
 * `unclaimed`: all go to the gaps behind the ranges, and so to the default client.
 */
export const PATTERNS = /** @type {const} */ (['uniform', 'hot', 'unclaimed']);
/** @typedef {typeof PATTERNS[number]} Pattern */

/**
 * Period of the accesses: long enough to reach each of 4096 ranges, short enough for a second-level
 * cache.
 */
export const ACCESSES = 16_384;

const FIRST_PORT = 0x1000;
const RANGE_PORTS = 8;
const FIRST_ADDRESS = 0xd000_0000;
const RANGE_BYTES = 4096;

/** @param {number} range @returns {{ isPort: boolean, start: number, length: number }} */
export function rangeAt(range) {
  const pair = range >> 1;
  return (range & 1) === 0
    ? { isPort: true, start: FIRST_PORT + pair * 2 * RANGE_PORTS, length: RANGE_PORTS }
    : { isPort: false, start: FIRST_ADDRESS + pair * 2 * RANGE_BYTES, length: RANGE_BYTES };
}

/** Marsaglia's xorshift with the shifts 13, 17, 5, from seed 1. */
function numbers() {
  let x = 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/**
 * The accesses as typed arrays: `types` and `directions` by the numbers of the page, `sizes`, and
 * the low address words.
 * @param {number} ranges @param {Pattern} pattern
 */
export function makeAccesses(ranges, pattern) {
  const next = numbers();
  const types = new Uint8Array(ACCESSES);
  const directions = new Uint8Array(ACCESSES);
  const sizes = new Uint8Array(ACCESSES);
  const addresses = new Int32Array(ACCESSES);
  const hot = ranges > 1 ? (ranges >> 1) | 1 : 0;
  for (let i = 0; i < ACCESSES; i++) {
    const x = next();
    const isHot = pattern === 'hot' && next() % 10 !== 0;
    const { isPort, start, length } = rangeAt(isHot ? hot : x % ranges);
    const offset = (x >>> 8) & (isPort ? RANGE_PORTS - 1 : RANGE_BYTES - 4);
    types[i] = isPort ? 0 : 1;
    directions[i] = x >>> 31;
    sizes[i] = isPort ? 1 : 4;
    addresses[i] = start + offset + (pattern === 'unclaimed' ? length : 0);
  }
  return { types, directions, sizes, addresses };
}
