/**
 * RawDevice: what is known of a device without a register map: the bytes that can be peeked (read
 * without side effects), and the latest access to each address in each direction, from the trace.
 */

import type { JSX } from 'preact';
import type { AccessRow, RawBytes, Registers } from '../../protocol.js';
import { traceTime } from '../../view/amounts.js';
import { strings } from '../settings.js';

const BYTES_PER_ROW = 16;

export function RawDevice({ rows: { bytes, accesses } }: { readonly rows: Registers }): JSX.Element {
  const { device: words } = strings();
  return (
    <div class="raw-device">
      {bytes.length > 0 && (
        <>
          <h3>{words.bytes}</h3>
          {bytes.map((range) => (
            <RawDump key={range.first} range={range} />
          ))}
        </>
      )}
      <h3>{words.accesses}</h3>
      {accesses.length === 0 ? <p class="empty">{words.noAccesses}</p> : <AccessTable accesses={accesses} />}
    </div>
  );
}

function RawDump({ range: { first, bytes } }: { readonly range: RawBytes }): JSX.Element {
  const start = BigInt(first);
  const rows = Array.from({ length: Math.ceil(bytes.length / BYTES_PER_ROW) }, (_, row) => row * BYTES_PER_ROW);
  return (
    <div class="dump mono" role="img" aria-label={`${strings().device.bytes} ${first}`}>
      {rows.map((at) => (
        <div key={at} class="dump-row">
          <span class="dump-offset">{(start + BigInt(at)).toString(16)}</span>
          <span>
            {bytes
              .slice(at, at + BYTES_PER_ROW)
              .map(byteText)
              .join(' ')}
          </span>
        </div>
      ))}
    </div>
  );
}

function byteText(byte: number | null): string {
  return byte === null ? '--' : byte.toString(16).padStart(2, '0');
}

function AccessTable({ accesses }: { readonly accesses: readonly AccessRow[] }): JSX.Element {
  const { device: words, access } = strings();
  return (
    <table class="registers" aria-label={words.accesses}>
      <thead>
        <tr>
          <th class="number">{words.offset}</th>
          <th>{words.address}</th>
          <th>{words.direction}</th>
          <th>{words.value}</th>
          <th class="number">{words.time}</th>
        </tr>
      </thead>
      <tbody>
        {accesses.map(({ offset, address, direction, size, value, timeNs }) => (
          <tr key={`${direction} ${address}`}>
            <td class="number mono dim">{offset === null ? '' : `+${offset.toString(16)}`}</td>
            <td class="mono">
              {address}
              <span class="dim">/{size}</span>
            </td>
            <td>{access[direction]}</td>
            <td class="mono">{value}</td>
            <td class="number mono">{traceTime(timeNs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
