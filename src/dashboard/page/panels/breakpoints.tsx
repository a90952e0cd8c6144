/**
 * Breakpoints: the list of breakpoints, which hold matching requests, and the form for a new one.
 * Numbers are checked here, the rest by the server, whose error is shown in the form.
 */

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { MAX_EXPRESSION_CHARACTERS } from '../../../debugging/breakpoint-limits.js';
import { TYPE_NAMES } from '../../../io-request/io-request.js';
import type { BreakpointFields, BreakpointRow } from '../../protocol.js';
import { typedBreakpoint } from '../../view/typed-fields.js';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';

export function Breakpoints(): JSX.Element {
  const { live } = useApp();
  const { stops: words } = strings();
  const rows = live.stops.value?.breakpoints ?? [];
  return (
    <>
      <h3>
        <span>
          {words.breakpoints}
          {rows.length === 0 && <span class="none dim">{words.noBreakpoints}</span>}
        </span>
        {rows.length > 0 && (
          <button type="button" class="quiet" onClick={() => void live.run({ kind: 'detach' })}>
            {words.detach}
          </button>
        )}
      </h3>
      {rows.length > 0 && (
        <ul class="breakpoints">
          {rows.map((row) => (
            <Breakpoint key={row.number} row={row} />
          ))}
        </ul>
      )}
      <BreakpointForm />
    </>
  );
}

function Breakpoint({ row }: { readonly row: BreakpointRow }): JSX.Element {
  const { live } = useApp();
  const { stops: words } = strings();
  return (
    <li>
      <span class="mono strong">{row.number}</span>
      <span class="breakpoint-text">{useBreakpointText(row)}</span>
      <span class="dim">{words.hits(row.hits)}</span>
      <button
        type="button"
        class="quiet"
        aria-label={words.remove(row.number)}
        title={words.remove(row.number)}
        onClick={() => void live.run({ kind: 'unbreak', number: row.number })}
      >
        ✕
      </button>
    </li>
  );
}

/** What a breakpoint holds, as text. */
function useBreakpointText(row: BreakpointFields): string {
  const { stops: words, access } = strings();
  const { first, last, vcpu, value, expression } = row;
  const direction = row.direction === undefined ? undefined : access[row.direction];
  const range = first === undefined || last === undefined || last === first ? first : `${first}…${last}`;
  return [
    words.atPoint[row.at],
    row.client,
    direction,
    row.type === undefined ? undefined : access.types[row.type],
    range,
    vcpu === undefined ? undefined : `vCPU ${vcpu}`,
    value === undefined ? undefined : `= ${value}`,
    expression,
  ]
    .filter((part) => part !== undefined)
    .join(' · ');
}

function BreakpointForm(): JSX.Element {
  const { live } = useApp();
  const { stops: words, access } = strings();
  const form = useRef<HTMLFormElement>(null);
  const error = useSignal('');
  const add = async (): Promise<void> => {
    if (form.current === null) return;
    const breakpoint = typedBreakpoint(textsOf(new FormData(form.current)));
    if (breakpoint === undefined) {
      error.value = words.invalidNumbers;
      return;
    }
    const reply = await live.call({ kind: 'break', breakpoint });
    error.value = reply.kind === 'done' ? (reply.error ?? '') : '';
    if (error.value === '') form.current.reset();
  };
  const names = [...new Set(live.clients.value.filter(({ isRemoved }) => !isRemoved).map(({ name }) => name))].sort();
  return (
    <form
      ref={form}
      class="breakpoint-form"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <Select
        name="at"
        label={words.at}
        options={(['pending', 'complete'] as const).map((at) => [at, words.atPoint[at]])}
      />
      <Select name="client" label={words.client} any={words.any} options={names.map((name) => [name, name])} />
      <Select
        name="direction"
        label={words.direction}
        any={words.any}
        options={(['read', 'write'] as const).map((one) => [one, access[one]])}
      />
      <Select
        name="type"
        label={words.type}
        any={words.any}
        options={TYPE_NAMES.map((type) => [type, access.types[type]])}
      />
      <label>
        <span>{words.address}</span>
        <span class="range">
          <input class="mono" type="text" name="first" placeholder="0x3f8" spellcheck={false} autocomplete="off" />
          <span class="dim">…</span>
          <input
            class="mono"
            type="text"
            name="last"
            aria-label={`${words.address} …`}
            spellcheck={false}
            autocomplete="off"
          />
        </span>
      </label>
      <label>
        <span>{words.value}</span>
        <input class="mono" type="text" name="value" placeholder="0x41" spellcheck={false} autocomplete="off" />
      </label>
      <label class="wide">
        <span>{words.expression}</span>
        <input
          class="mono"
          type="text"
          name="expression"
          maxLength={MAX_EXPRESSION_CHARACTERS}
          placeholder="size == 1 && (value & 0x80) != 0"
          spellcheck={false}
          autocomplete="off"
        />
      </label>
      <div class="form-end">
        <span class="alarm" role="alert">
          {error.value}
        </span>
        <button type="submit">{words.add}</button>
      </div>
    </form>
  );
}

interface SelectProps {
  readonly name: string;
  readonly label: string;
  /** The text of the empty choice, if there is one. */
  readonly any?: string;
  readonly options: readonly (readonly [value: string, text: string])[];
}

function Select({ name, label, any, options }: SelectProps): JSX.Element {
  return (
    <label>
      <span>{label}</span>
      <select name={name}>
        {any !== undefined && <option value="">{any}</option>}
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function textsOf(data: FormData): [name: string, text: string][] {
  return [...data].filter((entry): entry is [string, string] => typeof entry[1] === 'string');
}
