/**
 * microseconds: a latency as text.
 *
 * Called by: the tables of `--stats` (statistics-table.ts) and of `upcall top` (top-screen.ts).
 */

/** From here on one decimal could round to 100.0, so there is no decimal. */
const ONE_DECIMAL_BELOW_NS = 99_950;

/** The time in microseconds, with one decimal below 100. `-` for undefined. */
export function microseconds(ns: number | undefined): string {
  if (ns === undefined) return '-';
  return (ns / 1000).toFixed(ns < ONE_DECIMAL_BELOW_NS ? 1 : 0);
}
