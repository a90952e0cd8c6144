// @ts-check
/** The benchmark's results as text: a table for each group. */

import Table from 'cli-table3';

/** Three figures, and as many decimals as they need. @param {number | undefined} value */
export function figure(value) {
  if (value === undefined) return '';
  const size = Math.abs(value);
  if (size >= 100_000) return `${(value / 1000).toFixed(0)}k`;
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** @param {boolean | undefined} isMet */
const mark = (isMet) => (isMet === undefined ? '' : isMet ? 'yes' : 'NO');

/** @param {import('./summary.js').Ratio} ratio */
function bounds({ min, max }) {
  return [min === undefined ? '' : `≥ ${min}`, max === undefined ? '' : `≤ ${max}`].filter(Boolean).join(', ');
}

/** @param {string} title @param {readonly import('./summary.js').RowSummary[]} rows */
export function table(title, rows) {
  const printed = new Table({
    head: [title, 'median', 'min', 'max', 'unit', 'ratio', 'to', 'target', 'met'],
    colAligns: ['left', 'right', 'right', 'right', 'left', 'right', 'left', 'left', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) {
    if (row.median === undefined) {
      printed.push([row.name, { content: row.missing ?? 'not measured', colSpan: 8 }]);
      continue;
    }
    const value = [row.name, figure(row.median), figure(row.lowest), figure(row.highest), row.unit];
    if (row.max !== undefined || row.ratios.length === 0)
      printed.push([
        ...value.splice(0),
        '',
        '',
        row.max === undefined ? '' : `≤ ${row.max} ${row.unit}`,
        mark(row.isMet),
      ]);
    for (const ratio of row.ratios) {
      // The value is only in the row's first line.
      const first = value.length > 0 ? value.splice(0) : ['', '', '', '', ''];
      const to = ratio.times === 1 ? ratio.to : `${ratio.times} × ${ratio.to}`;
      printed.push([...first, ratio.ratio?.toFixed(2) ?? '', to, bounds(ratio), mark(ratio.isMet)]);
    }
  }
  return printed.toString();
}
