/**
 * plainTable: rows in columns, without lines between them, for the tables that sessions print at
 * their end.
 */

import Table from 'cli-table3';

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((place) => [place, `${place}-mid`, `${place}-left`, `${place}-right`])
    .concat('left-mid', 'mid-mid', 'right-mid', 'middle')
    .map((place) => [place, '']),
);

/** The table's lines, without blanks at their ends; `gap` blanks are between columns. */
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
