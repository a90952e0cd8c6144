/**
 * DevicePanel: a device's registers, and the PCI function of a card. They are peeked (read without
 * side effects) again half a second after each reply. For a device without a register map the panel
 * shows the bytes that can be peeked, and the latest accesses.
 */

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { RegisterRow, Registers } from '../../protocol.js';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';
import { PciFunctionView } from './pci-function.js';
import { RawDevice } from './raw-device.js';

const PEEK_INTERVAL_MS = 500;

export function DevicePanel(): JSX.Element {
  const { live, ui } = useApp();
  const { device: words, diagram } = strings();
  const registers = useSignal<Registers | undefined>(undefined);
  const shown = live.clients.value
    .map((client, index) => ({ client, index }))
    .filter(({ client }) => !client.isRemoved);
  const first = shown.find(({ client }) => client.hasRegisters && !client.isDefault) ?? shown[0];
  const chosen = (shown.find(({ index }) => index === ui.deviceClient.value) ?? first)?.index;
  useEffect(() => {
    if (chosen === undefined) return undefined;
    let isStopped = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const peek = async (): Promise<void> => {
      const reply = await live.call({ kind: 'peek', client: chosen });
      if (isStopped) return;
      registers.value = reply.kind === 'registers' ? reply : undefined;
      timer = setTimeout(() => void peek(), PEEK_INTERVAL_MS);
    };
    void peek();
    return () => {
      isStopped = true;
      clearTimeout(timer);
    };
  }, [chosen, live]);
  if (chosen === undefined) return <p class="empty">{words.none}</p>;
  const rows = registers.value?.client === chosen ? registers.value : undefined;
  const hasMap = rows !== undefined && rows.registers.length > 0;
  return (
    <div class="table-panel">
      <div class="toolbar">
        <select
          aria-label={words.choose}
          value={`${chosen}`}
          onChange={({ currentTarget }) => (ui.deviceClient.value = Number(currentTarget.value))}
        >
          {shown.map(({ client, index }) => (
            <option key={index} value={`${index}`}>
              {client.isDefault ? diagram.defaultClient : client.name}
            </option>
          ))}
        </select>
        {rows !== undefined && !hasMap && <span class="dim">{words.noMap}</span>}
        {rows !== undefined && rows.source !== '' && (
          <span class="dim source" title={rows.source}>
            {words.source}: {rows.source}
          </span>
        )}
      </div>
      {rows?.isAnswered === false && (
        <p class="note alarm" role="status">
          {words.noAnswerWhy}
        </p>
      )}
      <div class="scroll" role="region" aria-label={words.title} tabIndex={0}>
        {rows?.functions.map((row) => (
          <PciFunctionView key={row.address} row={row} />
        ))}
        {hasMap && <RegisterTable rows={rows} />}
        {rows !== undefined && !hasMap && <RawDevice rows={rows} />}
      </div>
    </div>
  );
}

function RegisterTable({ rows }: { readonly rows: Registers }): JSX.Element {
  const { device: words } = strings();
  return (
    <table class="registers" aria-label={words.title}>
      <thead>
        <tr>
          <th class="number">{words.offset}</th>
          <th>{words.register}</th>
          <th>{words.value}</th>
          <th>{words.access}</th>
        </tr>
      </thead>
      <tbody>
        {rows.registers.map((row) => (
          <RegisterLines key={`${row.offset} ${row.name}`} row={row} isAnswered={rows.isAnswered} />
        ))}
      </tbody>
    </table>
  );
}

interface RegisterLinesProps {
  readonly row: RegisterRow;
  readonly isAnswered: boolean;
}

/** A register's row, and one with its bit fields. Fields that are not zero are highlighted. */
function RegisterLines({ row, isAnswered }: RegisterLinesProps): JSX.Element {
  const { device: words } = strings();
  const why = row.access === 'w' ? words.writeOnly : isAnswered ? words.hidden : words.noAnswer;
  const set = row.fields.map((field) => ({ ...field, value: bitsOf(row.value, field.bits) }));
  return (
    <>
      <tr title={row.meaning}>
        <td class="number mono dim">+{row.offset.toString(16)}</td>
        <td class="mono">{row.name}</td>
        <td class="mono">{row.value ?? <span class="dim">{why}</span>}</td>
        <td class="mono dim">{row.access}</td>
      </tr>
      {set.length > 0 && row.value !== null && (
        <tr class="register-fields">
          <td />
          <td colSpan={3}>
            {set.map(({ name, meaning, value }) => (
              <span key={name} class={value === '0' ? 'bit' : 'bit bit-set'} title={meaning}>
                {name}
                {value === '0' || value === '1' ? '' : `=${value}`}
              </span>
            ))}
          </td>
        </tr>
      )}
    </>
  );
}

/** Bits `a` to `b` of a hexadecimal number, in either order. */
function bitsOf(value: string | null, [a, b]: readonly [number, number]): string {
  if (value === null) return '0';
  const low = BigInt(Math.min(a, b));
  const width = BigInt(Math.abs(a - b) + 1);
  return ((BigInt(value) >> low) & ((1n << width) - 1n)).toString(16);
}
