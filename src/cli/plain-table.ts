/** Tables of the command line: columns without borders, and the times in them. */

import Table from 'cli-table3';

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((place) => [place, `${place}-mid`, `${place}-left`, `${place}-right`])
    .concat('left-mid', 'mid-mid', 'right-mid', 'middle')
    .map((place) => [place, '']),
);

/** The table's lines, right-trimmed, with `gap` spaces between columns. */
export function plainTable(rows: readonly string[][], colAligns: ('left' | 'right')[], gap = 2): string[] {
  const table = new Table({
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': gap, compact: true },
    colAligns,
  });
  table.push(...rows);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

/** Above it one decimal would round to 100.0. */
const ONE_DECIMAL_BELOW_NS = 99_950;

/** Microseconds with one decimal below 100, `-` for undefined. */
export function microseconds(ns: number | undefined): string {
  if (ns === undefined) return '-';
  return (ns / 1000).toFixed(ns < ONE_DECIMAL_BELOW_NS ? 1 : 0);
}
