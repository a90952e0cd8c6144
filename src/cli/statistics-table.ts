/**
 * statisticsTable: the table of `--stats`: a VM's requests by type, by client and range, and by
 * address, and its interrupts. Its last line is the sum which shows that every access is accounted
 * for.
 *
 * Called by: runSession and VmTools.
 *
 * It goes to standard error, as everything but the guest's console: `upcall run … --stats 2>FILE`.
 * Lines fit 80 columns. A name longer than its column gets a line of its own.
 */

import type { VcpuCounters } from '../hypervisor/vm-shared-state.js';
import type { AddressRow } from '../trace/address-counts.js';
import { percentileNs } from '../trace/latency-histogram.js';
import type { StatisticsRow, StatisticsSnapshot } from '../trace/statistics-snapshot.js';
import type { InterruptState } from '../vm/vm-interrupts.js';
import { interruptTables } from './interrupt-tables.js';
import { microseconds } from './latency-text.js';
import { textTable } from './text-table.js';

/** How many ranges and how many addresses are shown. A line counts the others. */
export const SHOWN_ROWS = 20;
const NAME_WIDTH = 25;
const LINE_WIDTH = 80;
const HEAD = ['reads', 'writes', 'wait', 'work', 'wake', 'p50 us', 'p99 us', 'max us'];
const ALIGNS: ('left' | 'right')[] = ['left', ...HEAD.map(() => 'right' as const)];
const EXPLANATION = [
  'wait, work, wake: p50 in us from PENDING to PROCESSING, to COMPLETE, to FREE;',
  'p50, p99, max: of all three together',
];

/** A line of the table: a name and the cells after it. */
interface Row {
  readonly name: string;
  readonly numbers: readonly string[];
}

export function statisticsTable(
  snapshot: StatisticsSnapshot,
  counters: VcpuCounters,
  interrupts: InterruptState,
): string {
  const rows: Row[] = [
    { name: 'I/O requests by type', numbers: HEAD },
    ...snapshot.types.map((row) => timed(`  ${row.name}`, row)),
    { name: 'by client and range', numbers: HEAD },
    ...clientRows(snapshot),
    { name: 'by address', numbers: ['reads', 'writes', '', '', '', 'mean us', '', ''] },
    ...snapshot.addresses.slice(0, SHOWN_ROWS).map(addressRow),
  ];
  const texts = textTable(
    rows.map(({ name, numbers }) => [name.length <= NAME_WIDTH ? name : '', ...numbers]),
    ALIGNS,
    1,
  );
  const lines = rows.flatMap(({ name }, i) =>
    name.length <= NAME_WIDTH ? [texts[i] ?? ''] : [cut(name), texts[i] ?? ''],
  );
  lines.push(...rest('ranges', snapshot.ranges), ...rest('addresses', snapshot.addresses));
  for (const { name, errors, late } of snapshot.clientErrors)
    lines.push(`${name}: ${errors} errors, late ${late} times`);
  lines.push(...interruptTables(interrupts));
  const text = lines.filter((line) => line !== '');
  return [...text, '', ...EXPLANATION, accountingLine(counters, snapshot.requests), ''].join('\n');
}

/**
 * Each client with its ranges below it. A single range has the client's numbers: they are not
 * repeated.
 */
function clientRows({ clients, ranges }: StatisticsSnapshot): Row[] {
  const shown = ranges.slice(0, SHOWN_ROWS);
  const isOf = (client: StatisticsRow, range: StatisticsRow): boolean => range.name.startsWith(`${client.name}: `);
  return [
    ...clients.flatMap((client) => {
      const own = shown.filter((range) => isOf(client, range));
      const isOnly = ranges.filter((range) => isOf(client, range)).length === 1;
      return [
        timed(`  ${client.name}`, client),
        ...own.map((range): Row => {
          const name = `    ${range.name.slice(client.name.length + 2)}`;
          return isOnly ? { name, numbers: HEAD.map(() => '') } : timed(name, range);
        }),
      ];
    }),
    ...shown
      .filter((range) => !clients.some((client) => isOf(client, range)))
      .map((row) => timed(`  ${row.name}`, row)),
  ];
}

/**
 * The line "accesses trapped = answered by the hypervisor + requests + asynchronous writes".
 *
 * The vCPUs count all but the requests, which the HSM counts. A request lost between them would
 * show, and so do accesses that ended in a fault or a reset.
 */
export function accountingLine(counters: VcpuCounters, requests: number): string {
  const { portAccesses, mmioAccesses, answeredByHypervisor, asyncWrites } = counters;
  const trapped = portAccesses + mmioAccesses;
  const other = trapped - answeredByHypervisor - requests - asyncWrites;
  return [
    `${trapped} accesses trapped = ${answeredByHypervisor} answered by the hypervisor + ${requests} I/O requests`,
    ...(asyncWrites === 0 ? [] : [`${asyncWrites} asynchronous writes`]),
    ...(other === 0 ? [] : [`${other} that did not become one`]),
  ].join(' + ');
}

/** The row of a type, client or range, with its percentiles. */
function timed(name: string, { reads, writes, stages }: StatisticsRow): Row {
  return {
    name,
    numbers: [
      String(reads),
      String(writes),
      ...[stages.wait, stages.work, stages.wake].map((stage) => microseconds(percentileNs(stage, 50))),
      ...[50, 99, 100].map((percent) => microseconds(percentileNs(stages.total, percent))),
    ],
  };
}

function addressRow({ name, reads, writes, timed: count, sumNs }: AddressRow): Row {
  const mean = microseconds(count === 0 ? undefined : sumNs / count);
  return { name: `  ${name}`, numbers: [String(reads), String(writes), '', '', '', mean, '', ''] };
}

/** The line that counts the rows which are not shown, if there are such rows. */
function rest(what: string, rows: readonly { readonly reads: number; readonly writes: number }[]): string[] {
  const hidden = rows.slice(SHOWN_ROWS);
  const requests = hidden.reduce((sum, { reads, writes }) => sum + reads + writes, 0);
  return hidden.length === 0 ? [] : [`${hidden.length} more ${what} with ${requests} requests`];
}

function cut(name: string): string {
  return name.length <= LINE_WIDTH ? name : `${name.slice(0, LINE_WIDTH - 1)}…`;
}
