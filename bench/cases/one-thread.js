// @ts-check
/**
 * A request through the product in one thread: fill, dispatch, handle, complete, release, by the
 * real Slot, VmRequests, AddressMap and client. The cost of the code without that of threads.
 */

import { BATCH, createPath } from '../one-thread-path.js';
import { PATTERNS, rangeCount, RANGE_COUNTS } from '../workload.js';

export const title = 'A request in one thread';

const FILE = 'cases/one-thread.js';
const CLIENT_KINDS = ['bare', 'device'];
/** @param {number} ranges @param {string} pattern @param {string} client */
const nameOf = (ranges, pattern, client) => `one thread: ${rangeCount(ranges)}, ${pattern}, ${client}`;
const QUICK = [nameOf(1, 'uniform', 'bare'), nameOf(16, 'uniform', 'bare'), nameOf(4096, 'uniform', 'bare')];

/** @type {import('../rows.js').Row[]} */
export const rows = [
  ...CLIENT_KINDS.flatMap((client) =>
    PATTERNS.flatMap((pattern) =>
      RANGE_COUNTS.map((ranges) => {
        const name = nameOf(ranges, pattern, client);
        const isTarget = ranges === 16 && pattern === 'uniform';
        const compare = [{ to: `C dispatcher: ${rangeCount(ranges)}, ${pattern}`, ...(isTarget ? { max: 0.5 } : {}) }];
        if (ranges === 4096 && pattern !== 'unclaimed') compare.push({ to: nameOf(1, pattern, client), max: 1.3 });
        return {
          name,
          unit: 'ns',
          process: { file: FILE, args: [String(ranges), pattern, client] },
          compare,
          ...(isTarget ? { max: 100 } : {}),
          quick: QUICK.includes(name),
        };
      }),
    ),
  ),
  {
    name: 'one thread: making 4096 ranges',
    unit: 'ms',
    process: { file: FILE, args: ['4096', 'uniform', 'bare'] },
    value: 'setUpMs',
  },
];

const WARM_UP_MS = 300;
const MEASURE_MS = 300;

/**
 * @param {string} ranges @param {string} patternText @param {string} kind
 * @returns {Promise<{ value: number, quickest: number, setUpMs: number }>} `quickest`: in the batch
 *   that nothing else disturbed
 */
export async function measure(ranges, patternText, kind) {
  const pattern = /** @type {import('../workload.js').Pattern} */ (patternText);
  const { batch, setUpMs, served } = await createPath(Number(ranges), pattern, kind);
  let done = 0;
  let quickestMs = Infinity;
  const during = (/** @type {number} */ ms) => {
    const start = performance.now();
    let now = start;
    let count = 0;
    while (now - start < ms) {
      const before = now;
      batch();
      now = performance.now();
      quickestMs = Math.min(quickestMs, now - before);
      count += BATCH;
    }
    done += count;
    return ((now - start) * 1e6) / count;
  };
  during(WARM_UP_MS);
  const value = during(MEASURE_MS);
  const claimed = pattern === 'unclaimed' ? 0 : done;
  if (served() !== claimed) throw new Error(`${served()} of ${claimed} requests came to their clients`);
  return { value, quickest: (quickestMs * 1e6) / BATCH, setUpMs };
}
