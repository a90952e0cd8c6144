/**
 * textTable: a table as lines of text, in aligned columns without borders.
 *
 * Called by: the tables that the command line prints (statistics, faults, `upcall top`).
 */

import Table from 'cli-table3';

/** Makes cli-table3 draw no border: each of its border characters is empty. */
const NO_BORDERS = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((place) => [place, `${place}-mid`, `${place}-left`, `${place}-right`])
    .concat('left-mid', 'mid-mid', 'right-mid', 'middle')
    .map((place) => [place, '']),
);

/** The table's lines, right-trimmed, with `gap` spaces between columns. */
export function textTable(rows: readonly string[][], colAligns: ('left' | 'right')[], gap = 2): string[] {
  const table = new Table({
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': gap, compact: true },
    colAligns,
  });
  table.push(...rows);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}
