/**
 * ClientBoxes: the part of the diagram with the I/O clients and their request rates. The default
 * client is apart, in ACRN userspace. A click on a client shows its device.
 */

import type { JSX } from 'preact';
import type { ClientDescription } from '../../protocol.js';
import { shortCount } from '../../view/amounts.js';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';

export function ClientBoxes(): JSX.Element {
  const { live } = useApp();
  const { diagram } = strings();
  const clients = live.clients.value
    .map((client, index) => ({ client, index }))
    .filter(({ client }) => !client.isRemoved);
  return (
    <>
      <div class="client-boxes" role="group" aria-label={diagram.ioClients}>
        {clients
          .filter(({ client }) => !client.isDefault)
          .map(({ client, index }) => (
            <ClientBox key={index} client={client} index={index} />
          ))}
      </div>
      <div class="box userspace">
        <strong>{diagram.userspace}</strong>
        {clients
          .filter(({ client }) => client.isDefault)
          .map(({ client, index }) => (
            <ClientBox key={index} client={client} index={index} />
          ))}
      </div>
    </>
  );
}

function ClientBox({ client, index }: { readonly client: ClientDescription; readonly index: number }): JSX.Element {
  const { live, ui } = useApp();
  const { diagram } = strings();
  // Statistics are by name, so clients of the same name show the rate of them all.
  const rate = live.tables.value?.clients.find(({ name }) => name === client.name)?.perSecond ?? 0;
  const ranges = client.ranges.map(({ type, first, last }) => `${type} ${first}…${last}`).join('\n');
  const notes = [client.name, client.isThreaded ? diagram.ownThread : '', ranges];
  const show = (): void => {
    ui.deviceClient.value = index;
    ui.show('device');
  };
  const className = `client${rate > 0 ? ' busy' : ''}`;
  const content = (
    <>
      <span class="client-name">{client.isDefault ? diagram.defaultClient : client.name}</span>
      {client.isThreaded && <span class="client-thread" />}
      {rate > 0 && <span class="rate">{shortCount(rate)}</span>}
    </>
  );
  const title = notes.filter(Boolean).join('\n');
  const shown = client.hasRegisters ? diagram.showRegisters : diagram.showAccesses;
  return (
    <button type="button" class={className} title={`${title}\n${shown}`} onClick={show}>
      {content}
    </button>
  );
}
