/** StopsPanel: the requests that the debugger holds, with their actions, and the breakpoints. */

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { StopRow } from '../../protocol.js';
import { shortAge } from '../../view/amounts.js';
import { typedNumber, VALUE_BITS } from '../../view/typed-fields.js';
import { useApp } from '../parts/app-context.js';
import { RequestText } from '../parts/requests.js';
import { StateMark } from '../parts/state-mark.js';
import { strings } from '../settings.js';
import { Breakpoints } from './breakpoints.js';

export function StopsPanel(): JSX.Element {
  const { live } = useApp();
  const { stops: words } = strings();
  const stops = live.stops.value?.stops ?? [];
  return (
    <div class="stops scroll">
      <h3>{words.held}</h3>
      {stops.length === 0 ? (
        <p class="empty">{words.noneHeld}</p>
      ) : (
        <ul class="held-list">
          {stops.map((stop) => (
            <HeldRequest key={`${stop.vcpu} ${stop.at}`} stop={stop} />
          ))}
        </ul>
      )}
      <KeepHeld />
      <Breakpoints />
    </div>
  );
}

/** The choice of what becomes of held requests when no page is open. */
function KeepHeld(): JSX.Element {
  const { live } = useApp();
  const { stops: words } = strings();
  const { keepsHeld = false, releaseMs = 0 } = live.stops.value ?? {};
  return (
    <label class="keep-held">
      <input
        type="checkbox"
        name="keep-held"
        checked={keepsHeld}
        onChange={({ currentTarget }) => void live.run({ kind: 'keep-held', keep: currentTarget.checked })}
      />
      <span>
        {words.keepHeld} <span class="dim">{words.release(`${releaseMs / 1000}`)}</span>
      </span>
    </label>
  );
}

function HeldRequest({ stop }: { readonly stop: StopRow }): JSX.Element {
  const { live } = useApp();
  const { stops: words, diagram, header } = strings();
  const { vcpu, at } = stop;
  return (
    <li class="held-request">
      <div class="held-head">
        <StateMark state={at === 'pending' ? 'PENDING' : 'PROCESSING'} />
        <strong>{diagram.vcpu(vcpu)}</strong> {words.atPoint[at]}
        <RequestText request={stop.request} isAnswered={at === 'complete'} />
        <span class="dim">
          {stop.client}
          {stop.breakpoint === null ? '' : `, ${words.breakpoint(stop.breakpoint)}`}
          {stop.interrupt === null ? '' : ` (${stop.interrupt})`}, {words.since} <HeldAge stop={stop} />
        </span>
      </div>
      <div class="held-actions">
        {stop.canChange ? <ValueForm stop={stop} /> : <span class="dim">{words.cannotChange[at]}</span>}
        <button type="button" onClick={() => void live.run({ kind: 'step', vcpu })}>
          {header.step}
        </button>
        <button type="button" class="primary" onClick={() => void live.run({ kind: 'go', vcpu })}>
          {header.go}
        </button>
      </div>
    </li>
  );
}

/**
 * The age of the slot's state, which each frame of the slots has. Before COMPLETE it includes the
 * time that the client took.
 */
function HeldAge({ stop }: { readonly stop: StopRow }): JSX.Element {
  const { live } = useApp();
  const ageNs = live.slots[stop.vcpu]?.value?.ageNs;
  return <>{ageNs === undefined ? '–' : shortAge(ageNs)}</>;
}

/** Changes the value of a held request. */
function ValueForm({ stop }: { readonly stop: StopRow }): JSX.Element {
  const { live } = useApp();
  const { stops: words } = strings();
  const input = useRef<HTMLInputElement>(null);
  const note = useSignal<{ readonly text: string; readonly isError: boolean } | undefined>(undefined);
  const { value } = stop.request;
  // Shows changes by another page, but not while the user types here.
  useEffect(() => {
    if (input.current !== null && document.activeElement !== input.current) input.current.value = value;
  }, [value]);
  const change = async (): Promise<void> => {
    const typed = typedNumber(input.current?.value ?? '', VALUE_BITS);
    if (typed === undefined) {
      note.value = { text: words.invalidNumbers, isError: true };
      return;
    }
    const reply = await live.call({ kind: 'change', vcpu: stop.vcpu, value: typed });
    const error = reply.kind === 'done' ? reply.error : undefined;
    note.value = error === undefined ? { text: words.changed, isError: false } : { text: error, isError: true };
  };
  return (
    <form
      class="value-form"
      onSubmit={(event) => {
        event.preventDefault();
        void change();
      }}
    >
      <label>
        {words.value}{' '}
        <input
          ref={input}
          class="mono"
          type="text"
          name="value"
          defaultValue={value}
          spellcheck={false}
          autocomplete="off"
        />
      </label>
      <button type="submit">{words.change}</button>
      <span class={note.value?.isError === true ? 'alarm' : 'dim'} role="status">
        {note.value?.text}
      </span>
    </form>
  );
}
