/**
 * VirtioQueues: the queues of a virtio card in the device panel: where the rings are, their
 * indexes, and descriptors, decoded.
 */

import type { JSX } from 'preact';
import type { DescriptorRow, QueueRow, VirtioRow } from '../../protocol.js';
import { strings } from '../settings.js';

export function VirtioQueues({ of: { queues, hiddenQueues } }: { readonly of: VirtioRow }): JSX.Element {
  const { pci: words } = strings();
  return (
    <>
      {queues.map((queue) => (
        <Queue key={queue.index} queue={queue} />
      ))}
      {hiddenQueues > 0 && <p class="note dim">{words.hiddenQueues(hiddenQueues)}</p>}
    </>
  );
}

function Queue({ queue }: { readonly queue: QueueRow }): JSX.Element {
  const { pci: words } = strings();
  const { index, size, isEnabled, isPacked, descriptors, driver, device, indexes, shown } = queue;
  const facts: readonly (readonly [string, string | number])[] = [
    ['desc', descriptors],
    ['driver', driver],
    ['device', device],
    ...indexes,
  ];
  return (
    <section class="queue" aria-label={`${words.queue} ${index}`}>
      <h4>
        {words.queue} {index}{' '}
        <span class="dim">
          {isEnabled ? `${isPacked ? words.packed : words.split}, ${words.entries(size)}` : words.disabled}
        </span>
      </h4>
      {isEnabled && (
        <p class="bits">
          {facts.map(([name, value]) => (
            <span key={name} class="field">
              {name} <span class="mono strong">{value}</span>
            </span>
          ))}
        </p>
      )}
      {shown.length > 0 && <Descriptors shown={shown} isPacked={isPacked} />}
    </section>
  );
}

interface DescriptorsProps {
  readonly shown: readonly DescriptorRow[];
  readonly isPacked: boolean;
}

function Descriptors({ shown, isPacked }: DescriptorsProps): JSX.Element {
  const { pci: words } = strings();
  return (
    <table class="rates" aria-label={words.descriptors}>
      <thead>
        <tr>
          <th>{words.descriptor}</th>
          <th>{words.address}</th>
          <th class="number">{words.length}</th>
          <th>{words.flags}</th>
          <th class="number">{isPacked ? words.id : words.next}</th>
        </tr>
      </thead>
      <tbody>
        {shown.map(({ index, address, length, flags, link, level }, row) => (
          <tr key={`${row} ${index}`} class={level === 0 ? 'busy' : undefined}>
            <td class="mono">
              {['', '↳ ', '· ↳ '][level]}
              {index}
            </td>
            <td class="mono">{address}</td>
            <td class="number mono">{length}</td>
            <td>{flags.length === 0 ? '–' : flags.join(' ')}</td>
            <td class="number mono">{isPacked || flags.includes('NEXT') ? link : '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
