/**
 * Breakpoints: the list of breakpoints, on requests and on interrupts, and the form for a new one.
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

const POINTS = ['pending', 'complete', 'interrupt'] as const;
const EVENTS = ['raised', 'lowered', 'ended', 'sent', 'refused'] as const;

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

/** The conditions of a breakpoint as text. */
function useBreakpointText(row: BreakpointFields): string {
  const { stops: words, access } = strings();
  const parts =
    row.at === 'interrupt'
      ? [
          words.interruptNames[row.interrupt ?? 'any'],
          row.line === undefined ? undefined : `${words.line} ${row.line}`,
          row.vector === undefined ? undefined : `${words.vector} 0x${row.vector.toString(16)}`,
          row.by,
        ]
      : [
          row.client,
          row.direction === undefined ? undefined : access[row.direction],
          row.type === undefined ? undefined : access.types[row.type],
          row.last === undefined || row.last === row.first ? row.first : `${row.first}…${row.last}`,
          row.vcpu === undefined ? undefined : `vCPU ${row.vcpu}`,
          row.value === undefined ? undefined : `= ${row.value}`,
          row.expression,
        ];
  return [words.atPoint[row.at], ...parts].filter((part) => part !== undefined).join(' · ');
}

function BreakpointForm(): JSX.Element {
  const { live } = useApp();
  const { stops: words } = strings();
  const form = useRef<HTMLFormElement>(null);
  const at = useSignal<BreakpointFields['at']>('pending');
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
    if (error.value !== '') return;
    form.current.reset();
    at.value = 'pending';
  };
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
        options={POINTS.map((point) => [point, words.atPoint[point]])}
        onChange={(chosen) => (at.value = POINTS.find((point) => point === chosen) ?? 'pending')}
      />
      {at.value === 'interrupt' ? <InterruptFields /> : <RequestFields />}
      <div class="form-end">
        <span class="alarm" role="alert">
          {error.value}
        </span>
        <button type="submit">{words.add}</button>
      </div>
    </form>
  );
}

/** The conditions of a breakpoint on requests. */
function RequestFields(): JSX.Element {
  const { live } = useApp();
  const { stops: words, access } = strings();
  const names = [...new Set(live.clients.value.filter(({ isRemoved }) => !isRemoved).map(({ name }) => name))].sort();
  return (
    <>
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
          <Input name="first" placeholder="0x3f8" />
          <span class="dim">…</span>
          <Input name="last" label={`${words.address} …`} />
        </span>
      </label>
      <label>
        <span>{words.value}</span>
        <Input name="value" placeholder="0x41" />
      </label>
      <label class="wide">
        <span>{words.expression}</span>
        <Input name="expression" maxLength={MAX_EXPRESSION_CHARACTERS} placeholder="size == 1 && (value & 0x80) != 0" />
      </label>
    </>
  );
}

/** The conditions of a breakpoint on interrupts. */
function InterruptFields(): JSX.Element {
  const { stops: words } = strings();
  return (
    <>
      <Select
        name="interrupt"
        label={words.interrupt}
        any={words.any}
        options={EVENTS.map((event) => [event, words.interruptNames[event]])}
      />
      <label>
        <span>{words.line}</span>
        <Input name="line" placeholder="4" />
      </label>
      <label>
        <span>{words.vector}</span>
        <Input name="vector" placeholder="0x31" />
      </label>
      <label>
        <span>{words.by}</span>
        <Input name="by" placeholder="uart16550" />
      </label>
    </>
  );
}

interface InputProps {
  readonly name: string;
  /** For screen readers, if no label element is around the input. */
  readonly label?: string;
  readonly placeholder?: string;
  readonly maxLength?: number;
}

function Input({ name, label, placeholder, maxLength }: InputProps): JSX.Element {
  return (
    <input
      class="mono"
      type="text"
      name={name}
      aria-label={label}
      maxLength={maxLength}
      placeholder={placeholder}
      spellcheck={false}
      autocomplete="off"
    />
  );
}

interface SelectProps {
  readonly name: string;
  readonly label: string;
  /** The text of the empty choice, if there is one. */
  readonly any?: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly onChange?: (value: string) => void;
}

function Select({ name, label, any, options, onChange }: SelectProps): JSX.Element {
  return (
    <label>
      <span>{label}</span>
      <select name={name} onChange={({ currentTarget }) => onChange?.(currentTarget.value)}>
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
