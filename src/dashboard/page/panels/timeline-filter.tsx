/**
 * TimelineFilter: the controls that select the timeline's moves (changes of a slot's state). A move
 * must match all of them. The server filters. An invalid address is marked and not sent.
 */

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { TYPE_NAMES } from '../../../io-request/io-request.js';
import type { MoveFilterFields } from '../../protocol.js';
import { typedRange } from '../../view/typed-fields.js';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';

export function TimelineFilter(): JSX.Element {
  const { live, ui } = useApp();
  const { timeline: words, access } = strings();
  const filter = ui.moveFilter.value;
  const change = (fields: { readonly [Name in keyof MoveFilterFields]?: MoveFilterFields[Name] | undefined }): void => {
    const next = Object.entries({ ...ui.moveFilter.value, ...fields }).filter(([, value]) => value !== undefined);
    ui.moveFilter.value = Object.fromEntries(next);
  };
  const names = [...new Set(live.clients.value.map(({ name }) => name))].sort();
  return (
    <>
      <Choice
        label={words.client}
        any={words.anyClient}
        value={filter.client}
        options={names.map((name) => [name, name])}
        onChange={(client) => change({ client })}
      />
      <Choice
        label={strings().stops.type}
        any={words.anyType}
        value={filter.type}
        options={TYPE_NAMES.map((type) => [type, access.types[type]])}
        onChange={(type) => change({ type: TYPE_NAMES.find((one) => one === type) })}
      />
      <Choice
        label={strings().stops.direction}
        any={words.anyDirection}
        value={filter.direction}
        options={[
          ['read', access.read],
          ['write', access.write],
        ]}
        onChange={(direction) => change({ direction: direction as 'read' | 'write' | undefined })}
      />
      {live.vcpus.value > 1 && (
        <Choice
          label="vCPU"
          any={words.anyVcpu}
          value={filter.vcpu?.toString()}
          options={Array.from({ length: live.vcpus.value }, (_, vcpu) => [`${vcpu}`, `vCPU ${vcpu}`])}
          onChange={(vcpu) => change({ vcpu: vcpu === undefined ? undefined : Number(vcpu) })}
        />
      )}
      <AddressRange key={filter.first ?? ''} filter={filter} onChange={change} />
      {Object.keys(filter).length > 0 && (
        <button type="button" onClick={() => (ui.moveFilter.value = {})}>
          {words.clear}
        </button>
      )}
    </>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly any: string;
  readonly value: string | undefined;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly onChange: (value: string | undefined) => void;
}

export function Choice({ label, any, value, options, onChange }: ChoiceProps): JSX.Element {
  return (
    <select
      aria-label={label}
      value={value ?? ''}
      onChange={({ currentTarget }) => onChange(currentTarget.value === '' ? undefined : currentTarget.value)}
    >
      <option value="">{any}</option>
      {options.map(([one, text]) => (
        <option key={one} value={one}>
          {text}
        </option>
      ))}
    </select>
  );
}

interface AddressRangeProps {
  readonly filter: MoveFilterFields;
  readonly onChange: (fields: { first: string | undefined; last: string | undefined }) => void;
}

/** The field for an address or a range: `3f8` or `3f8-3ff`, both ends inclusive. */
function AddressRange({ filter, onChange }: AddressRangeProps): JSX.Element {
  const shown = filter.first === undefined ? '' : `${filter.first}-${filter.last ?? filter.first}`;
  const isInvalid = useSignal(false);
  const apply = (text: string): void => {
    const range = typedRange(text);
    isInvalid.value = range === undefined;
    if (range !== undefined) onChange(range);
  };
  return (
    <input
      type="text"
      class="mono address-range"
      aria-label={strings().stops.address}
      placeholder="3f8-3ff"
      defaultValue={shown}
      aria-invalid={isInvalid.value}
      onChange={({ currentTarget }) => apply(currentTarget.value)}
      onKeyDown={(event) => event.key === 'Enter' && apply(event.currentTarget.value)}
    />
  );
}
