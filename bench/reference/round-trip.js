// @ts-check
/**
 * The measurement of the references in JavaScript: a warm-up and a measured time, both in batches
 * of round trips.
 */

const WARM_UP_MS = 200;
const MEASURE_MS = 300;

/**
 * @param {number} count round trips in one batch
 * @param {(count: number) => void | Promise<void>} batch makes `count` round trips
 * @returns {Promise<{ value: number }>} nanoseconds per round trip
 */
export async function measureTrips(count, batch) {
  const warm = performance.now() + WARM_UP_MS;
  while (performance.now() < warm) await batch(count);
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
