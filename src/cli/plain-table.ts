/** Tables of the command line: rows in columns without lines, and the times in them. */

import Table from 'cli-table3';

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((place) => [place, `${place}-mid`, `${place}-left`, `${place}-right`])
    .concat('left-mid', 'mid-mid', 'right-mid', 'middle')
    .map((place) => [place, '']),
);

/** The table's lines, right-trimmed, with `gap` blanks between columns. */
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

/** Microseconds with one decimal below 100, `-` for undefined. */
export function microseconds(ns: number | undefined): string {
  if (ns === undefined) return '-';
  return (ns / 1000).toFixed(ns < 100_000 ? 1 : 0);
}
