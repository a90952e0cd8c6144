/**
 * topScreen: the screen of `upcall top`: a VM's requests as styled lines that fit the terminal.
 *
 * Called by: commands/top-watch.ts, for each frame.
 *
 * On a small terminal the longest sections are cut first and end with the number of hidden lines,
 * so that every section stays visible as long as LEAST_LINES of each fit. Names in the tables are
 * cut to NAME_WIDTH. Lines that are wider than the terminal are cut.
 */

import type { Percentiles, StateName, StopRow, TableRow, Tables } from '../dashboard/protocol.js';
import { microseconds } from './latency-text.js';
import { textTable } from './text-table.js';

export interface TopSlot {
  readonly vcpu: number;
  readonly state: StateName;
  /** Time since the slot's last change of state. */
  readonly ageMs: number;
  readonly client: string;
}

export interface TopView {
  readonly name: string;
  readonly hypervisor: string;
  readonly tables: Tables;
  /** One for each vCPU. */
  readonly slots: readonly TopSlot[];
  /** The requests that the debugger holds. */
  readonly stops: readonly StopRow[];
  /** Why the VM ended. Undefined while it has not. */
  readonly end?: string;
}

/**
 * `idle`: a row without requests in the last interval. `held`: a request that the debugger holds.
 */
export type TopStyle = 'title' | 'head' | 'plain' | 'idle' | 'held';

export interface TopLine {
  readonly text: string;
  readonly style: TopStyle;
}

interface Row {
  readonly cells: readonly string[];
  readonly style: TopStyle;
}

const HEAD = ['reads', 'writes', '/s', 'p50 us', 'p99 us'];
const ALIGNS: ('left' | 'right')[] = ['left', ...HEAD.map(() => 'right' as const)];
const NAME_WIDTH = 36;
/** How many lines every section keeps: its head, a row, and the number of hidden lines. */
const LEAST_LINES = 3;

/** The screen's lines: at most `rows`, of at most `columns` characters. */
export function topScreen(view: TopView, columns: number, rows: number): TopLine[] {
  const { tables, slots, stops } = view;
  const sections: TopLine[][] = [
    slots.map(({ vcpu, state, ageMs, client }) =>
      line(`slot ${String(vcpu).padStart(2)} ${state.padEnd(10)} ${age(ageMs).padStart(8)}  ${printable(client)}`),
    ),
    stops.map(({ vcpu, at, client, request: { direction, type, address, size, value } }) =>
      line(
        `held: vCPU ${vcpu} ${at === 'pending' ? 'at PENDING' : 'before COMPLETE'}, ${printable(client)}: ` +
          `${direction} ${type} ${address}/${size} = ${value}`,
        'held',
      ),
    ),
    ...aligned([rated('client', tables.clients), rated('range', tables.ranges), unclaimed(tables.unclaimed)]),
  ];
  const head = headLines(view);
  return [...head, ...fitting(sections, rows - head.length)]
    .slice(0, rows)
    .map(({ text, style }) => ({ text: text.slice(0, columns), style }));
}

function headLines({ name, hypervisor, tables, end }: TopView): TopLine[] {
  const { requests, perSecond, trapped, answeredByHypervisor, latency } = tables;
  const stage = (of: Percentiles | null): string => microseconds(of?.p50Ns);
  return [
    line(
      `upcall top  ${printable(name)} on ${printable(hypervisor)}${end === undefined ? '' : `  (${printable(end)})`}  q quits`,
      'title',
    ),
    line(
      `${requests} requests, ${rate(perSecond)}/s; ${trapped} trapped, ${answeredByHypervisor} answered by the hypervisor`,
    ),
    line(
      `p50 us: wait ${stage(latency.wait)}  work ${stage(latency.work)}  wake ${stage(latency.wake)}  ` +
        `all ${stage(latency.total)}   p99 us: ${microseconds(latency.total?.p99Ns)}`,
    ),
  ];
}

function line(text: string, style: TopStyle = 'plain'): TopLine {
  return { text, style };
}

/** Aligns the rows of all sections in common columns. Drops sections without rows. */
function aligned(sections: readonly (readonly Row[])[]): TopLine[][] {
  const full = sections.filter(({ length }) => length > 1);
  const rows = full.flat();
  const texts = textTable(
    rows.map(({ cells }) => [...cells]),
    ALIGNS,
  );
  const lines = rows.map(({ style }, i) => line(texts[i] ?? '', style));
  let from = 0;
  return full.map(({ length }) => lines.slice(from, (from += length)));
}

/** Cuts the sections to `room` lines, the longest first. */
function fitting(sections: readonly TopLine[][], room: number): TopLine[] {
  const lengths = sections.map(({ length }) => length);
  while (lengths.reduce((sum, length) => sum + length, 0) > room) {
    const longest = lengths.indexOf(Math.max(...lengths));
    if ((lengths[longest] ?? 0) <= LEAST_LINES) break;
    lengths[longest] = (lengths[longest] ?? 0) - 1;
  }
  return sections.flatMap((lines, i) => {
    const length = lengths[i] ?? 0;
    if (length === lines.length) return lines;
    return [...lines.slice(0, length - 1), line(`  … ${lines.length - length + 1} more`, 'idle')];
  });
}

/** A section with rates and latencies: clients or ranges. */
function rated(title: string, rows: readonly TableRow[]): Row[] {
  return [
    { cells: [title, ...HEAD], style: 'head' },
    ...rows.map(({ name, reads, writes, perSecond, recent, all }): Row => {
      const latency = recent ?? all;
      return {
        cells: [
          shortened(`  ${printable(name)}`),
          String(reads),
          String(writes),
          rate(perSecond),
          microseconds(latency?.p50Ns),
          microseconds(latency?.p99Ns),
        ],
        style: perSecond > 0 ? 'plain' : 'idle',
      };
    }),
  ];
}

/** The section of the addresses that no client claims, which have no latencies. */
function unclaimed(rows: Tables['unclaimed']): Row[] {
  return [
    { cells: ['unclaimed', ...HEAD.slice(0, 3), '', ''], style: 'head' },
    ...rows.map(({ name, reads, writes, perSecond }): Row => ({
      cells: [`  ${printable(name)}`, String(reads), String(writes), rate(perSecond), '', ''],
      style: perSecond > 0 ? 'plain' : 'idle',
    })),
  ];
}

/** Devices choose their names: control characters must not move the cursor. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

function shortened(text: string): string {
  return text.length <= NAME_WIDTH ? text : `${text.slice(0, NAME_WIDTH - 1)}…`;
}

function rate(perSecond: number): string {
  if (perSecond >= 999_500) return `${(perSecond / 1e6).toFixed(2)}M`;
  return perSecond >= 9995 ? `${(perSecond / 1000).toFixed(0)}k` : perSecond.toFixed(0);
}

function age(ms: number): string {
  if (ms < 1) return '<1 ms';
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
