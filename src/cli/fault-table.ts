/**
 * faultTable: the table of injected faults, one row for each rule. A session with a fault plan
 * prints it at its end, on standard error.
 *
 * Called by: runSession and VmTools.
 */

import type { FaultRecord, FaultReportRow } from '../fault-injection/fault-trigger.js';
import { textTable } from './text-table.js';
import { oneLine } from './reporter.js';

/** `seed` is printed because the same seed and the same accesses inject the same faults again. */
export function faultTable(report: readonly FaultReportRow[], seed: number): string {
  const rows = report.map(({ rule, matches, injected, first, last }) => [
    `  ${oneLine(rule)}`,
    String(matches),
    String(injected),
    placeOf(first),
    injected > 1 ? placeOf(last) : '',
  ]);
  const head = [`Faults (seed ${seed})`, 'matches', 'injected', 'first', 'last'];
  return [...textTable([head, ...rows], ['left', 'right', 'right', 'left', 'left']), ''].join('\n');
}

/** When a fault was injected, and in which request. */
function placeOf(record: FaultRecord | undefined): string {
  if (record === undefined) return '-';
  const what = record.request === undefined ? '' : ` ${record.request.replace(/ = .*/, '')}`;
  return `${(record.timeMs / 1000).toFixed(3)} s${what}`;
}
