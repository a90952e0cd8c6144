/**
 * The table that `--stats` prints: a VM's requests by type, client, range and address, and the identity that shows none
 * is missing. It goes to standard error, like everything that is not the guest's: `upcall run … --stats 2>stats.txt`.
 * Its lines have at most 100 columns.
 */

import Table from 'cli-table3';
import type { VcpuCounters } from '../hypervisor/vm-shared-state.js';
import type { AddressRow } from '../trace/address-counts.js';
import { percentileNs } from '../trace/latency-histogram.js';
import type { StatisticsRow, StatisticsSnapshot } from '../trace/statistics-snapshot.js';

/** Ranges and addresses that are shown; a line below says how many are not. */
export const SHOWN_ROWS = 20;
const NAME_WIDTH = 34;

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((place) => [place, `${place}-mid`, `${place}-left`, `${place}-right`])
    .concat('left-mid', 'mid-mid', 'right-mid', 'middle')
    .map((place) => [place, '']),
);
const HEAD = ['reads', 'writes', 'wait', 'work', 'wake', 'p50 us', 'p99 us', 'max us'];
const EXPLANATION =
  'wait, work, wake: the p50 in us from PENDING to PROCESSING, to COMPLETE, to FREE; p50, p99, max: of all three';

export function statisticsTable(snapshot: StatisticsSnapshot, counters: VcpuCounters): string {
  const table = new Table({
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2, compact: true },
    colAligns: ['left', ...HEAD.map(() => 'right' as const)],
  });
  table.push(
    ...section('I/O requests by type', snapshot.types),
    ...section('by client', snapshot.clients),
    ...section('by range', snapshot.ranges.slice(0, SHOWN_ROWS)),
    ['by address', 'reads', 'writes', '', '', '', 'mean us', '', ''],
    ...snapshot.addresses.slice(0, SHOWN_ROWS).map(addressCells),
  );
  const lines = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  lines.push(...rest('ranges', snapshot.ranges), ...rest('addresses', snapshot.addresses));
  for (const { name, errors, late } of snapshot.clientErrors)
    lines.push(`${name}: ${errors} errors, ${late} times too late`);
  return [...lines, '', EXPLANATION, identity(counters, snapshot.requests), ''].join('\n');
}

/**
 * Accesses trapped = answered by the hypervisor + requests. The vCPUs count the first two, the HSM the third, so a request
 * that was lost between them would show; so do those that ended in a fault or a reset.
 */
export function identity(counters: VcpuCounters, requests: number): string {
  const { portAccesses, mmioAccesses, answeredByHypervisor } = counters;
  const trapped = portAccesses + mmioAccesses;
  const other = trapped - answeredByHypervisor - requests;
  const text = other === 0 ? '' : ` + ${other} that could not become one`;
  return `${trapped} accesses trapped = ${answeredByHypervisor} answered by the hypervisor + ${requests} I/O requests${text}`;
}

function section(title: string, rows: readonly StatisticsRow[]): string[][] {
  return [
    [title, ...HEAD],
    ...rows.map(({ name, reads, writes, stages }) => [
      shortened(`  ${name}`),
      String(reads),
      String(writes),
      ...[stages.wait, stages.work, stages.wake].map((stage) => microseconds(percentileNs(stage, 50))),
      ...[50, 99, 100].map((percent) => microseconds(percentileNs(stages.total, percent))),
    ]),
  ];
}

function addressCells({ name, reads, writes, timed, sumNs }: AddressRow): string[] {
  const mean = microseconds(timed === 0 ? undefined : sumNs / timed);
  return [shortened(`  ${name}`), String(reads), String(writes), '', '', '', mean, '', ''];
}

function rest(what: string, rows: readonly { readonly reads: number; readonly writes: number }[]): string[] {
  const hidden = rows.slice(SHOWN_ROWS);
  const requests = hidden.reduce((sum, { reads, writes }) => sum + reads + writes, 0);
  return hidden.length === 0 ? [] : [`${hidden.length} more ${what} with ${requests} requests`];
}

function shortened(name: string): string {
  return name.length <= NAME_WIDTH ? name : `${name.slice(0, NAME_WIDTH - 1)}…`;
}

function microseconds(ns: number | undefined): string {
  if (ns === undefined) return '-';
  const us = ns / 1000;
  return us.toFixed(us < 100 ? 1 : 0);
}
