/**
 * The screen of `upcall top`: a VM's requests at a glance, as lines of plain text that fit the terminal. What does not fit
 * is left out from below; the widest thing it has fits 80 columns.
 */

import { stateName } from '../io-request/state.js';
import type { Percentiles, StopRow, TableRow, Tables } from '../dashboard/protocol.js';
import { plainTable } from './plain-table.js';

export interface TopSlot {
  readonly vcpu: number;
  readonly state: number;
  readonly ageMs: number;
  readonly client: string;
}

export interface TopView {
  readonly name: string;
  readonly hypervisor: string;
  readonly tables: Tables;
  /** Of the VM's vCPUs. */
  readonly slots: readonly TopSlot[];
  readonly stops: readonly StopRow[];
  /** Why there is nothing more to come. */
  readonly end?: string;
}

const HEAD = ['reads', 'writes', '/s', 'p50 us', 'p99 us'];
const ALIGNS: ('left' | 'right')[] = ['left', ...HEAD.map(() => 'right' as const)];
const NAME_WIDTH = 36;

export function topScreen(view: TopView, columns: number, rows: number): string[] {
  const { name, hypervisor, tables, slots, stops, end } = view;
  const { requests, perSecond, trapped, answeredByHypervisor, latency } = tables;
  const stage = (of: Percentiles | null): string => microseconds(of?.p50Ns);
  const lines = [
    `upcall top  ${name} on ${hypervisor}${end === undefined ? '' : `  (${end})`}  q leaves`,
    `${requests} requests, ${rate(perSecond)}/s; ${trapped} trapped, ${answeredByHypervisor} answered by the hypervisor`,
    `p50 us: wait ${stage(latency.wait)}  work ${stage(latency.work)}  wake ${stage(latency.wake)}  ` +
      `all ${stage(latency.total)}   p99 us: ${microseconds(latency.total?.p99Ns)}`,
    ...slots.map(
      ({ vcpu, state, ageMs, client }) =>
        `slot ${String(vcpu).padStart(2)} ${stateName(state).padEnd(10)} ${age(ageMs).padStart(8)}  ${client}`,
    ),
    ...stops.map(
      ({ vcpu, at, client, request: { direction, type, address, size, value } }) =>
        `held: vCPU ${vcpu} ${at === 'pending' ? 'at PENDING' : 'before COMPLETE'}, ${client}: ` +
        `${direction} ${type} ${address}/${size} = ${value}`,
    ),
    '',
    ...plainTable([...section('client', tables.clients), ...section('range', tables.ranges)], ALIGNS),
  ];
  if (tables.unclaimed.length > 0) {
    const cells = tables.unclaimed.map((row) => [
      `  ${row.name}`,
      String(row.reads),
      String(row.writes),
      rate(row.perSecond),
      '',
      '',
    ]);
    lines.push(...plainTable([['unclaimed', ...HEAD.slice(0, 3), '', ''], ...cells], ALIGNS));
  }
  return lines.slice(0, rows).map((line) => line.slice(0, columns));
}

function section(title: string, rows: readonly TableRow[]): string[][] {
  return [
    [title, ...HEAD],
    ...rows.map(({ name, reads, writes, perSecond, recent, all }) => {
      const latency = recent ?? all;
      return [
        shortened(`  ${printable(name)}`),
        String(reads),
        String(writes),
        rate(perSecond),
        microseconds(latency?.p50Ns),
        microseconds(latency?.p99Ns),
      ];
    }),
  ];
}

/** Names are their devices' own: none may move the cursor. */
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

function microseconds(ns: number | undefined): string {
  if (ns === undefined) return '-';
  return (ns / 1000).toFixed(ns < 100_000 ? 1 : 0);
}
