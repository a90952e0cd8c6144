/** faultTable: the injected faults by rule, printed at the end of a session on standard error. */

import type { FaultRecord, FaultReportRow } from '../fault-injection/fault-trigger.js';
import { plainTable } from './plain-table.js';
import { oneLine } from './reporter.js';

/** `seed`: the same seed and the same accesses inject the same faults again. */
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
