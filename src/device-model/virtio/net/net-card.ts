/**
 * openPort: opens the port of a network card. Also the module of such a card in a thread of its
 * own.
 *
 * Called by: the command line (cli/net-card.ts), or the thread of the card
 * (placement/device-thread.ts), which calls the default export.
 */

import type { NetworkPort } from '../../network/network-port.js';
import { PasstPort } from '../../network/passt-port.js';
import { SocketHubPort } from '../../network/socket-hub.js';
import type { PciCard } from '../../pci/pci-card.js';
import type { DeviceContext } from '../../placement/device-module.js';
import { reportingCard } from '../reporting-card.js';
import { virtioPciCard } from '../virtio-pci-card.js';
import { VirtioNet } from './virtio-net.js';

/** The network of this machine, or a hub of the processes of one user. */
export type NetworkOptions =
  { readonly kind: 'passt'; readonly loopback: boolean } | { readonly kind: 'hub'; readonly name: string };

/** Survives structured cloning. */
export interface NetCardOptions {
  readonly name: string;
  readonly network: NetworkOptions;
  /** Default: a random one. */
  readonly mac?: string;
}

/** `report`: as `CardHandle.report`. Rejects as PasstPort and SocketHubPort do. */
export async function openPort(network: NetworkOptions, report: (message: string) => void): Promise<NetworkPort> {
  if (network.kind === 'passt') return PasstPort.start({ loopback: network.loopback, report });
  const port = await SocketHubPort.join({ name: network.name, report });
  report(`hub ${network.name}: ${port.isServer ? `served at ${port.path}` : 'connected'}`);
  return port;
}

export default function createNetCard(
  _context: DeviceContext,
  { network, ...options }: NetCardOptions,
): Promise<PciCard> {
  return reportingCard(async (report) =>
    virtioPciCard(new VirtioNet({ ...options, port: await openPort(network, report) })),
  );
}
