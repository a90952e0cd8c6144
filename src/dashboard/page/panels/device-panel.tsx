/** A device's registers, looked at twice a second without any effect on the device. */

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { RegisterRow, Registers } from '../../protocol.js';
import { useSurroundings } from '../parts/context.js';
import { strings } from '../settings.js';

const AGAIN_MS = 500;

export function DevicePanel(): JSX.Element {
  const { live, desk } = useSurroundings();
  const { device: words, picture } = strings();
  const registers = useSignal<Registers | undefined>(undefined);
  const shown = live.clients.value
    .map((client, index) => ({ client, index }))
    .filter(({ client }) => client.hasRegisters && !client.isGone);
  const first = shown.find(({ client }) => !client.isDefault) ?? shown[0];
  const chosen = (shown.find(({ index }) => index === desk.deviceClient.value) ?? first)?.index;
  useEffect(() => {
    if (chosen === undefined) return undefined;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (): Promise<void> => {
      const answer = await live.ask({ kind: 'peek', client: chosen });
      if (isOver) return;
      registers.value = answer.kind === 'registers' ? answer : undefined;
      timer = setTimeout(() => void look(), AGAIN_MS);
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [chosen, live]);
  if (chosen === undefined) return <p class="empty">{words.none}</p>;
  const rows = registers.value?.client === chosen ? registers.value : undefined;
  return (
    <div class="table-panel">
      <div class="toolbar">
        <select
          aria-label={words.choose}
          value={`${chosen}`}
          onChange={({ currentTarget }) => (desk.deviceClient.value = Number(currentTarget.value))}
        >
          {shown.map(({ client, index }) => (
            <option key={index} value={`${index}`}>
              {client.isDefault ? picture.defaultClient : client.name}
            </option>
          ))}
        </select>
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
            {rows?.registers.map((row) => (
              <RegisterLines key={`${row.offset} ${row.name}`} row={row} isAnswered={rows.isAnswered} />
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

interface RegisterLinesProps {
  readonly row: RegisterRow;
  readonly isAnswered: boolean;
}

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

/** The bits from…to of a hexadecimal number, whichever of the two comes first. */
function bitsOf(value: string | null, [a, b]: readonly [number, number]): string {
  if (value === null) return '0';
  const low = BigInt(Math.min(a, b));
  const width = BigInt(Math.abs(a - b) + 1);
  return ((BigInt(value) >> low) & ((1n << width) - 1n)).toString(16);
}
