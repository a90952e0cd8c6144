// @ts-check
/** The rows of dispatcher.c, the reference of the one-thread cases. */

import { PATTERNS, rangeCount, RANGE_COUNTS } from '../workload.js';

export const title = 'C: a dispatcher of the driver’s design';

/** @type {import('../rows.js').Row[]} */
export const rows = PATTERNS.flatMap((pattern) =>
  RANGE_COUNTS.map((ranges) => ({
    name: `C dispatcher: ${rangeCount(ranges)}, ${pattern}`,
    unit: 'ns',
    process: { file: 'reference/dispatcher.c', args: [String(ranges), pattern] },
  })),
);
