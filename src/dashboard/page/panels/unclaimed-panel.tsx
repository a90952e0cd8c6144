/**
 * UnclaimedPanel: a table of the accesses that no client claims, by address, for example a driver's
 * probes for missing hardware.
 */

import type { JSX } from 'preact';
import { shortCount, wholeCount } from '../../view/amounts.js';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';

export function UnclaimedPanel(): JSX.Element {
  const { live } = useApp();
  const { unclaimed: words, clients: columns } = strings();
  const rows = live.tables.value?.unclaimed ?? [];
  if (rows.length === 0) return <p class="empty">{words.none}</p>;
  return (
    <div class="scroll" role="region" aria-label={words.title} tabIndex={0}>
      <table class="rates" aria-label={words.title}>
        <thead>
          <tr>
            <th>{words.address}</th>
            <th class="number">{columns.rate}</th>
            <th class="number">{columns.reads}</th>
            <th class="number">{columns.writes}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, perSecond, reads, writes }) => (
            <tr key={name} class={perSecond > 0 ? 'busy' : undefined}>
              <td class="mono">{name}</td>
              <td class="number strong">{shortCount(perSecond)}</td>
              <td class="number">{wholeCount(reads)}</td>
              <td class="number">{wholeCount(writes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
