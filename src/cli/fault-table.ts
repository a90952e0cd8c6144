/**
 * The table of what went wrong on purpose, which a session with faults prints at its end on
 * standard error.
 */

import type { FaultRecord, FaultReportRow } from '../fault-injection/fault-trigger.js';
import { plainTable } from './plain-table.js';
import { oneLine } from './reporter.js';

/** `seed`: with the same one and the same accesses the same faults come again. */
export function faultTable(report: readonly FaultReportRow[], seed: number): string {
  const rows = report.map(({ rule, matches, injected, first, last }) => [
    `  ${oneLine(rule)}`,
    String(matches),
    String(injected),
    placeOf(first),
    injected > 1 ? placeOf(last) : '',
  ]);
  const head = [`Faults (seed ${seed})`, 'matches', 'injected', 'first', 'last'];
  return [...plainTable([head, ...rows], ['left', 'right', 'right', 'left', 'left']), ''].join('\n');
}

function placeOf(record: FaultRecord | undefined): string {
  if (record === undefined) return '-';
  const what = record.request === undefined ? '' : ` ${record.request.replace(/ = .*/, '')}`;
  return `${(record.timeMs / 1000).toFixed(3)} s${what}`;
}
