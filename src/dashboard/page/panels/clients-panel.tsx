/** ClientsPanel: a table of the requests and latencies of clients or ranges, recent and total. */

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { Percentiles, TableRow } from '../../protocol.js';
import { shortCount, shortTime, wholeCount } from '../../view/amounts.js';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';

export function ClientsPanel(): JSX.Element {
  const { live } = useApp();
  const { clients: words } = strings();
  /** Whether a row is a client or a range. */
  const kind = useSignal<'clients' | 'ranges'>('clients');
  const rows = live.tables.value?.[kind.value] ?? [];
  return (
    <div class="table-panel">
      <div class="toolbar">
        <div class="choice" role="group" aria-label={words.show}>
          {(['clients', 'ranges'] as const).map((one) => (
            <button key={one} type="button" aria-pressed={kind.value === one} onClick={() => (kind.value = one)}>
              {one === 'clients' ? words.byClient : words.byRange}
            </button>
          ))}
        </div>
      </div>
      {rows.length === 0 ? <p class="empty">{words.none}</p> : <RateTable rows={rows} />}
    </div>
  );
}

function RateTable({ rows }: { readonly rows: readonly TableRow[] }): JSX.Element {
  const { clients: words } = strings();
  // By name: rows that change places four times per second cannot be read.
  const sorted = [...rows].sort((a, b) => (a.name < b.name ? -1 : 1));
  return (
    <div class="scroll" role="region" aria-label={words.title} tabIndex={0}>
      <table class="rates" aria-label={words.title}>
        <thead>
          <tr>
            <th>{words.name}</th>
            <th class="number">{words.rate}</th>
            <th class="number">{words.reads}</th>
            <th class="number">{words.writes}</th>
            <th class="number">p50 {words.now}</th>
            <th class="number">p99 {words.now}</th>
            <th class="number">p50 {words.sinceStart}</th>
            <th class="number">p99 {words.sinceStart}</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map(({ name, perSecond, reads, writes, recent, all }) => (
            <tr key={name} class={perSecond > 0 ? 'busy' : undefined}>
              <td>{name}</td>
              <td class="number strong">{shortCount(perSecond)}</td>
              <td class="number">{wholeCount(reads)}</td>
              <td class="number">{wholeCount(writes)}</td>
              <PercentileCells of={recent} />
              <PercentileCells of={all} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function PercentileCells({ of }: { readonly of: Percentiles | null }): JSX.Element {
  return (
    <>
      <td class="number">{of === null ? '–' : shortTime(of.p50Ns)}</td>
      <td class="number">{of === null ? '–' : shortTime(of.p99Ns)}</td>
    </>
  );
}
