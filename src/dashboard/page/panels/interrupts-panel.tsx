/**
 * InterruptsPanel: the lines of the interrupt controllers with their levels, owners and edges, the
 * messages of cards and programs, and the doorbells of cards.
 */

import type { ComponentChildren, JSX } from 'preact';
import type { InterruptLineRow, InterruptMessageRow, Interrupts } from '../../protocol.js';
import { wholeCount } from '../../view/amounts.js';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';

export function InterruptsPanel(): JSX.Element {
  const { live } = useApp();
  const { interrupts: words } = strings();
  const shown = live.interrupts.value;
  return (
    <div class="scroll interrupts" role="region" aria-label={words.title} tabIndex={0}>
      <div>
        <Lines lines={shown?.lines ?? []} />
      </div>
      <div>
        {shown !== undefined && shown.messages.length > 0 && <Messages of={shown} />}
        {shown !== undefined && shown.doorbells.length > 0 && <Doorbells of={shown} />}
      </div>
    </div>
  );
}

interface TableProps {
  readonly title: string;
  /** Titles of the columns. Those of numbers are the ones in `numbers`. */
  readonly head: readonly string[];
  readonly numbers: readonly string[];
  readonly children: ComponentChildren;
}

function Table({ title, head, numbers, children }: TableProps): JSX.Element {
  return (
    <table class="rates" aria-label={title}>
      <thead>
        <tr>
          {head.map((name) => (
            <th key={name} class={numbers.includes(name) ? 'number' : undefined}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}

function Lines({ lines }: { readonly lines: readonly InterruptLineRow[] }): JSX.Element {
  const { interrupts: words } = strings();
  if (lines.length === 0) return <p class="empty">{words.none}</p>;
  const { line, level, edges, ends, heldBy, owners } = words;
  return (
    <Table title={words.lines} head={[line, level, edges, ends, heldBy, owners]} numbers={[line, edges, ends]}>
      {lines.map((row) => (
        <tr key={row.line} data-line={row.line} class={row.isHigh ? 'busy' : undefined}>
          <td class="number mono">{row.line}</td>
          <td>
            <span class={`level level-${row.isHigh ? 'high' : 'low'}`} aria-hidden="true" />
            {words.levels[row.isHigh ? 'high' : 'low']}
          </td>
          <td class="number">{countOf(row.rises)}</td>
          <td class="number" title={row.ends === null ? words.endsUnknown : undefined}>
            {countOf(row.ends)}
          </td>
          <td class={row.holders.length > 0 ? 'strong' : undefined}>{listOf(row.holders)}</td>
          <td>{listOf(row.owners)}</td>
        </tr>
      ))}
    </Table>
  );
}

function Messages({ of: { messages, hiddenMessages } }: { readonly of: Interrupts }): JSX.Element {
  const { interrupts: words } = strings();
  const { source, vector, sent, refused, pending } = words;
  return (
    <>
      <Table title={words.messages} head={[source, vector, sent, refused, pending]} numbers={[vector, sent, refused]}>
        {messages.map((row) => (
          <MessageRow key={`${row.source} ${row.vector}`} row={row} />
        ))}
      </Table>
      {hiddenMessages > 0 && <p class="note dim">{words.hidden(hiddenMessages)}</p>}
    </>
  );
}

function MessageRow({ row }: { readonly row: InterruptMessageRow }): JSX.Element {
  const { interrupts: words } = strings();
  return (
    <tr class={row.isPending ? 'busy' : undefined}>
      <td>{row.source}</td>
      <td class="number mono">{row.vector}</td>
      <td class="number">{wholeCount(row.sent)}</td>
      <td class="number">{wholeCount(row.refused)}</td>
      <td>{row.isPending ? words.isPending : '–'}</td>
    </tr>
  );
}

function Doorbells({ of: { doorbells } }: { readonly of: Interrupts }): JSX.Element {
  const { interrupts: words } = strings();
  return (
    <Table title={words.doorbells} head={[words.card, words.writes]} numbers={[words.writes]}>
      {doorbells.map(({ card, writes }) => (
        <tr key={card}>
          <td>{card}</td>
          <td class="number">{wholeCount(writes)}</td>
        </tr>
      ))}
    </Table>
  );
}

/** A count, or a dash for what cannot be known. */
function countOf(count: number | null): string {
  return count === null ? '–' : wholeCount(count);
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? '–' : names.join(', ');
}
