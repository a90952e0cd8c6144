/**
 * The table that `--stats` prints: a VM's requests by type, by client and by address, and the identity that shows none
 * is missing. It goes to standard error, like everything that is not the guest's: `upcall run … --stats 2>stats.txt`.
 */

import Table from 'cli-table3';
import type { VcpuCounters } from '../hypervisor/vm-shared-state.js';
import type { StatisticsRow, StatisticsSnapshot } from '../trace/statistics.js';

/** Addresses that are shown; the line below says how many are not. */
export const ADDRESS_ROWS = 20;

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((place) => [place, `${place}-mid`, `${place}-left`, `${place}-right`])
    .concat('left-mid', 'mid-mid', 'right-mid', 'middle')
    .map((place) => [place, '']),
);

export function statisticsTable(snapshot: StatisticsSnapshot, counters: VcpuCounters): string {
  const hidden = snapshot.addresses.slice(ADDRESS_ROWS);
  const table = new Table({
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2, compact: true },
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
  });
  table.push(
    ...section('I/O requests by type', snapshot.types),
    ...section('by client', snapshot.clients),
    ...section('by address', snapshot.addresses.slice(0, ADDRESS_ROWS)),
  );
  const lines = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  if (hidden.length > 0) {
    const requests = hidden.reduce((sum, { reads, writes }) => sum + reads + writes, 0);
    lines.push(`${hidden.length} more addresses with ${requests} requests`);
  }
  return [...lines, '', identity(counters, snapshot.requests), ''].join('\n');
}

/**
 * Accesses trapped = answered by the hypervisor + requests. The vCPUs count the first two, the HSM the third, so a request
 * that was lost between them would show; so do those that ended in a fault or a reset.
 */
export function identity(counters: VcpuCounters, requests: number): string {
  const { portAccesses, mmioAccesses, answeredByHypervisor } = counters;
  const trapped = portAccesses + mmioAccesses;
  const rest = trapped - answeredByHypervisor - requests;
  const other = rest === 0 ? '' : ` + ${rest} that could not become one`;
  return `${trapped} accesses trapped = ${answeredByHypervisor} answered by the hypervisor + ${requests} I/O requests${other}`;
}

function section(title: string, rows: readonly StatisticsRow[]): string[][] {
  return [
    [title, 'reads', 'writes', 'p50 us', 'p99 us', 'max us'],
    ...rows.map(({ name, reads, writes, p50Us, p99Us, maxUs }) => [
      `  ${name}`,
      String(reads),
      String(writes),
      ...[p50Us, p99Us, maxUs].map((us) => microseconds(us, maxUs)),
    ]),
  ];
}

/** Percentiles are rounded to two digits and may then lie above the maximum, which is exact. */
function microseconds(us: number | undefined, maxUs = Infinity): string {
  if (us === undefined) return '-';
  return Math.min(us, maxUs).toFixed(us < 100 ? 1 : 0);
}
