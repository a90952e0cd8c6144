/** SlotPanel: one slot in detail: its request, its fields and its 256 bytes. */

import { useComputed } from '@preact/signals';
import type { JSX } from 'preact';
import { SLOT_OFFSET } from '../../../io-request/layout.js';
import { shortAge } from '../../view/amounts.js';
import { dumpRows, slotFields } from '../../view/slot-fields.js';
import { hasValue } from '../../view/slots-frame.js';
import { useApp } from '../parts/app-context.js';
import { StateMark } from '../parts/state-mark.js';
import { strings } from '../settings.js';

export function SlotPanel(): JSX.Element {
  const { live, ui } = useApp();
  const { slot: words } = strings();
  const vcpu = ui.shownSlot.value;
  const bytes = useComputed(() => live.slots[ui.shownSlot.value]?.value?.bytes).value;
  return (
    <div class="slot-panel">
      <SlotSummary vcpu={vcpu} />
      {bytes === undefined ? (
        <p class="empty">{words.waiting}</p>
      ) : (
        <div class="slot-views">
          <FieldTable bytes={bytes} />
          <Dump bytes={bytes} />
        </div>
      )}
    </div>
  );
}

function SlotSummary({ vcpu }: { readonly vcpu: number }): JSX.Element {
  const { live } = useApp();
  const { slot: words, state: states, access } = strings();
  const view = live.slots[vcpu]?.value;
  const state = view?.state ?? 'FREE';
  // The frame has the most recent client. A PENDING request has no client yet.
  const client = view?.client === undefined || state === 'PENDING' ? undefined : live.clients.value[view.client];
  const wasUsed = view !== undefined && view.moves > 0;
  const pairs: [string, string][] = [
    [words.owner, states.owner[view?.owner ?? 'hypervisor']],
    [words.age, wasUsed ? shortAge(view.ageNs) : words.none],
    [words.client, client?.name ?? words.none],
    [
      words.request,
      wasUsed
        ? `${view.isWrite ? access.write : access.read} ${meaningOf(view.type)} ${view.address}/${view.size}${hasValue(view) ? ` = ${view.value}` : ''}`
        : words.none,
    ],
  ];
  return (
    <div class="slot-summary">
      <div class={`slot-head state-${state.toLowerCase()}`}>
        <StateMark state={state} />
        <strong class="slot-title">{`${words.title} ${vcpu}: ${state}`}</strong>
        <span class="dim">{view?.held === undefined ? states.meaning[state] : states.heldAt[view.held]}</span>
      </div>
      <dl>
        {pairs.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function FieldTable({ bytes }: { readonly bytes: Uint8Array }): JSX.Element {
  const { slot: words } = strings();
  return (
    <table class="fields" aria-label={words.title}>
      <thead>
        <tr>
          <th class="number">{words.offset}</th>
          <th>{words.field}</th>
          <th>{words.number}</th>
          <th>{words.meaning}</th>
        </tr>
      </thead>
      <tbody>
        {slotFields(bytes).map(({ name, offset, raw, meaning }) => (
          <tr key={name}>
            <td class="number mono dim">{`${offset}`}</td>
            <td class="mono">{name}</td>
            <td class="mono">{raw}</td>
            <td>{meaningOf(meaning)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A meaning from slotFields, in the page's language. Names of states are not translated. */
function meaningOf(meaning: string): string {
  const { access, slot } = strings();
  const bits = /^(\d+) bit$/.exec(meaning)?.[1];
  if (bits !== undefined) return slot.bits(bits);
  const words: Readonly<Record<string, string>> = { ...access.types, read: access.read, write: access.write };
  return words[meaning] ?? meaning;
}

/** The slot's bytes in hexadecimal. */
function Dump({ bytes }: { readonly bytes: Uint8Array }): JSX.Element {
  return (
    <div class="dump mono" role="img" aria-label={strings().slot.bytes}>
      {dumpRows(bytes).map(({ at, bytes: row }) => (
        <div key={at} class={row.length === 0 ? 'dump-row zero' : 'dump-row'}>
          <span class="dump-offset">{at.toString(16).padStart(2, '0')}</span>
          {row.length === 0 ? (
            <span>{'⋯ 00'}</span>
          ) : (
            // Highlights the state word.
            [row.slice(0, 4), row.slice(4)].map((word, column) => (
              <span key={column} class={at + 4 * column === SLOT_OFFSET.state ? 'state-word' : undefined}>
                {word.join(' ')}
              </span>
            ))
          )}
        </div>
      ))}
    </div>
  );
}
