/**
 * PciFunctionView: a PCI function in the device panel: its identity, command and status, BARs,
 * capabilities and MSI-X table, and the queues of a virtio card.
 */

import type { JSX } from 'preact';
import type { BarRow, BitRow, CapabilityRow, FunctionRow, VectorRow } from '../../protocol.js';
import { strings } from '../settings.js';
import { VirtioQueues } from './virtio-queues.js';

export function PciFunctionView({ row }: { readonly row: FunctionRow }): JSX.Element {
  const { pci: words } = strings();
  return (
    <section class="pci-function" aria-label={`PCI ${row.address}`}>
      <h3>
        <span class="mono">{row.address}</span> {row.name} <span class="mono dim">{row.ids}</span>
      </h3>
      <dl class="facts">
        <dt>{words.class}</dt>
        <dd class="mono">{row.class}</dd>
        <dt>{words.revision}</dt>
        <dd class="mono">{row.revision}</dd>
        <dt>{words.subsystem}</dt>
        <dd class="mono">{row.subsystem}</dd>
      </dl>
      <Bits name={words.command} bits={row.command} />
      <Bits name={words.status} bits={row.status} />
      {row.bars.length > 0 && <Bars bars={row.bars} />}
      {row.virtio !== null && (
        <>
          <Bits name={words.deviceStatus} bits={row.virtio.status} />
          <Bits name={words.features} bits={row.virtio.features} />
          <VirtioQueues of={row.virtio} />
        </>
      )}
      {row.capabilities.length > 0 && <Capabilities capabilities={row.capabilities} />}
      {row.vectors.length > 0 && <Vectors vectors={row.vectors} />}
    </section>
  );
}

/** Names of bits. Those that are set are highlighted. */
export function Bits({ name, bits }: { readonly name: string; readonly bits: readonly BitRow[] }): JSX.Element {
  return (
    <p class="bits">
      <span class="dim">{name}</span>{' '}
      {bits.map((bit) => (
        <span key={bit.name} class={bit.isSet ? 'bit bit-set' : 'bit'}>
          {bit.name}
        </span>
      ))}
    </p>
  );
}

function Bars({ bars }: { readonly bars: readonly BarRow[] }): JSX.Element {
  const { pci: words } = strings();
  return (
    <table class="rates" aria-label={words.bars}>
      <thead>
        <tr>
          <th>BAR</th>
          <th>{words.kind}</th>
          <th>{words.address}</th>
          <th>{words.size}</th>
          <th>{words.decoded}</th>
        </tr>
      </thead>
      <tbody>
        {bars.map(({ bar, kind, isPrefetchable, address, size, isDecoded }) => (
          <tr key={bar} class={isDecoded === true ? 'busy' : undefined}>
            <td>{bar}</td>
            <td>
              {words.kinds[kind]}
              {isPrefetchable && `, ${words.prefetchable}`}
            </td>
            <td class="mono">{address}</td>
            <td class="mono">{size ?? '–'}</td>
            <td>{isDecoded === null ? '–' : isDecoded ? words.yes : words.no}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Capabilities({ capabilities }: { readonly capabilities: readonly CapabilityRow[] }): JSX.Element {
  const { pci: words } = strings();
  return (
    <table class="rates wrapping" aria-label={words.capabilities}>
      <thead>
        <tr>
          <th>{words.at}</th>
          <th>{words.capability}</th>
          <th>{words.contents}</th>
        </tr>
      </thead>
      <tbody>
        {capabilities.map(({ at, name, fields }) => (
          <tr key={at}>
            <td class="mono">{at}</td>
            <td>{name}</td>
            <td>
              {fields.map(([field, value]) => (
                <span key={field} class="field">
                  {field} <span class="mono strong">{value}</span>
                </span>
              ))}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Vectors({ vectors }: { readonly vectors: readonly VectorRow[] }): JSX.Element {
  const { pci: words } = strings();
  return (
    <table class="rates" aria-label={words.vectors}>
      <thead>
        <tr>
          <th>MSI-X</th>
          <th>{words.address}</th>
          <th>{words.data}</th>
          <th>{words.masked}</th>
          <th>{words.pending}</th>
        </tr>
      </thead>
      <tbody>
        {vectors.map(({ vector, address, data, isMasked, isPending }) => (
          <tr key={vector} class={isMasked ? undefined : 'busy'}>
            <td>{vector}</td>
            <td class="mono">{address}</td>
            <td class="mono">{data}</td>
            <td>{isMasked ? words.yes : words.no}</td>
            <td>{isPending ? words.yes : words.no}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
