/**
 * serveVfioUser: gives a PCI card to another virtual machine monitor, for example QEMU, which takes
 * it as a PCI function of its own machine by the protocol vfio-user.
 *
 * Called by: the operator's program; `upcall serve`. docs/real-vmms.md shows the monitors' side.
 */

import { host } from '../host/current.js';
import type { DescriptorListener } from '../host/descriptor-streams.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { UserVm } from '../vm/user-vm.js';
import { CardServer, type CardServerOptions, type CreateServedCard } from './card-server.js';
import type { ClientCounters } from './client-connection.js';

/** Those of the User VM around the card. Its memory and vCPUs are the client's. */
export type ServeOptions = CardServerOptions['vm'] & {
  /** Called before the card is attached, for example to listen to events. */
  readonly onVm?: (vm: UserVm) => void;
  /** Clients that come and go, in words for a person. Default: dropped. */
  readonly report?: (line: string) => void;
};

/** A card at a socket. */
export interface ServedCard {
  readonly vm: UserVm;
  /** The path of the socket. */
  readonly socket: string;
  /** Whether interrupts reach clients, and their memory can be mapped. Needs Linux and koffi. */
  readonly hasDescriptors: boolean;
  /** Of the present client, or the last one. */
  readonly client: ClientCounters | undefined;
  /** Bytes of guest memory of the present client. */
  readonly guestMemory: { readonly mapped: number; readonly remote: number };
  /** Removes the socket and the card. A client that is connected loses it. */
  close(): Promise<void>;
}

/** The guest memory that can be mapped: all that is below. The rest is reached by messages. */
export const ARENA_BYTES = 2 ** 32;

/**
 * Resolves when clients can connect. Rejects with UpcallError if `socket` cannot be listened at,
 * and with what creating and attaching the card throws.
 */
export async function serveVfioUser(
  card: PciCard | CreateServedCard,
  socket: string,
  { onVm = () => undefined, report = () => undefined, ...vm }: ServeOptions = {},
): Promise<ServedCard> {
  if (typeof socket !== 'string' || socket === '')
    throw new UpcallError('OPTION_INVALID', 'serveVfioUser: no path of a socket is given', {
      remedy: 'Call serveVfioUser(card, "card.sock")',
    });
  const [arena, events] = await Promise.all([host.openMemoryArena(ARENA_BYTES), host.openEventFds()]);
  const server = await CardServer.create({ card, vm, onVm, report, arena, events });
  let listener: DescriptorListener;
  try {
    listener = await host.listenForPrograms(socket, (stream) => server.connect(stream));
  } catch (error) {
    await server.close();
    throw cannotListen(socket, error as Error & { readonly code?: unknown });
  }
  return {
    vm: server.vm,
    socket,
    hasDescriptors: listener.hasDescriptors,
    get client() {
      return server.client;
    },
    get guestMemory() {
      return server.dmaMap.bytes;
    },
    close: async () => {
      // Streams first: a listener of Node waits for them.
      const closed = listener.close();
      await server.close();
      await closed;
    },
  };
}

function cannotListen(socket: string, cause: Error & { readonly code?: unknown }): UpcallError {
  const [reason, remedy] = whyNot(cause);
  return new UpcallError('TOOL_FAILED', `cannot listen at ${socket}: ${reason}`, { remedy, cause });
}

/** The fact, and the remedy. */
function whyNot({ code, message }: Error & { readonly code?: unknown }): readonly [string, string] {
  switch (code) {
    case 'EADDRINUSE':
      return ['another program listens there', 'End that program, or give another path'];
    case 'EEXIST':
      return ['there is a file or a folder', 'Give another path'];
    case 'ENAMETOOLONG':
      return [message, 'Give a shorter path, such as one in /tmp'];
    default:
      return [message, 'Give a path in a folder that exists and may be written'];
  }
}
