// @ts-check
/**
 * The measurement of the references in JavaScript: a warm-up and a measured time, both in batches
 * of round trips.
 */

/**
 * A process in JavaScript takes two to five times as long until V8 has compiled its path, which
 * takes it some thousand trips. So a time alone would measure that in a slow row, and not in the
 * quick one that it is compared with.
 */
const WARM_UP_TRIPS = 8000;
const WARM_UP_MS = 200;
/** On a busy machine, the warm-up ends after this time. */
const WARM_UP_MAX_MS = 3000;
const MEASURE_MS = 300;

/**
 * @param {number} count round trips in one batch
 * @param {(count: number) => void | Promise<void>} batch makes `count` round trips
 * @returns {Promise<{ value: number }>} nanoseconds per round trip
 */
export async function measureTrips(count, batch) {
  const begin = performance.now();
  for (let done = 0, ms = 0; (ms < WARM_UP_MS || done < WARM_UP_TRIPS) && ms < WARM_UP_MAX_MS; done += count) {
    await batch(count);
    ms = performance.now() - begin;
  }
  const start = performance.now();
  let trips = 0;
  let now = start;
  while (now - start < MEASURE_MS) {
    await batch(count);
    trips += count;
    now = performance.now();
  }
  return { value: ((now - start) * 1e6) / trips };
}
