/**
 * NetworkHub: connects any number of network cards, of VMs of this process and of others. It learns
 * behind which port an address is, as a switch does.
 *
 * Called by: VirtioNet through its ports; SocketHubPort. Threads: that of its cards: all are in
 * one.
 *
 * The frames are of guests. One that invents source addresses evicts its own entries only. One that
 * takes another's address gets its frames, as on a cable: the VMs of a hub are one network.
 *
 * Source: IEEE 802.1D, sections 7.8 and 7.9, without spanning tree and ageing.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { destinationOf, isGroup, sourceOf, type Mac } from './ethernet.js';
import type { NetworkPort, NetworkReceiver } from './network-port.js';
import { completeFrame, type Offload } from './offload.js';

export const MAX_HUB_PORTS = 64;
/** Addresses that are known of a port. The oldest one makes room. */
export const MAX_ADDRESSES_PER_PORT = 64;

export interface HubCounters {
  /** Frames that went to the one port of their destination. */
  forwarded: number;
  /** Frames that went to all other ports. */
  flooded: number;
  /** Frames whose destination is behind the port that they came from. */
  returned: number;
}

export class NetworkHub {
  readonly #ports = new Set<HubPort>();
  readonly #owners = new Map<Mac, HubPort>();
  readonly #counters: HubCounters = { forwarded: 0, flooded: 0, returned: 0 };

  get counters(): Readonly<HubCounters> {
    return this.#counters;
  }

  /** Ports that are not closed. */
  get portCount(): number {
    return this.#ports.size;
  }

  /** How many addresses are known. */
  get addressCount(): number {
    return this.#owners.size;
  }

  /** A new port. Throws VM_LIMIT beyond MAX_HUB_PORTS. */
  port(): NetworkPort {
    if (this.#ports.size >= MAX_HUB_PORTS)
      throw new UpcallError('VM_LIMIT', `the hub has ${MAX_HUB_PORTS} ports, and all are taken`, {
        remedy: 'Use another hub, or close a port',
      });
    const port = new HubPort({
      send: (frame, offload) => this.#send(port, frame, offload),
      close: () => this.#remove(port),
    });
    this.#ports.add(port);
    return port;
  }

  #send(from: HubPort, frame: Uint8Array, offload: Offload | undefined): void {
    this.#learn(sourceOf(frame), from);
    const destination = destinationOf(frame);
    const owner = isGroup(destination) ? undefined : this.#owners.get(destination);
    if (owner === from) {
      this.#counters.returned++;
    } else if (owner !== undefined) {
      this.#counters.forwarded++;
      owner.deliver(frame, offload);
    } else {
      this.#counters.flooded++;
      for (const port of this.#ports) if (port !== from) port.deliver(frame, offload);
    }
  }

  #learn(source: Mac, port: HubPort): void {
    const owner = this.#owners.get(source);
    if (owner === port || isGroup(source)) return;
    owner?.addresses.delete(source);
    if (port.addresses.size >= MAX_ADDRESSES_PER_PORT) {
      const [oldest = 0] = port.addresses;
      port.addresses.delete(oldest);
      this.#owners.delete(oldest);
    }
    port.addresses.add(source);
    this.#owners.set(source, port);
  }

  #remove(port: HubPort): void {
    this.#ports.delete(port);
    for (const address of port.addresses) this.#owners.delete(address);
    port.addresses.clear();
  }
}

/** The hub, as its port calls it. */
interface HubSide {
  readonly send: (frame: Uint8Array, offload: Offload | undefined) => void;
  readonly close: () => void;
}

class HubPort implements NetworkPort {
  /** The addresses that are behind this port, in the order in which they were learned. */
  readonly addresses = new Set<Mac>();
  readonly takesOffloads = true;
  #receiver: NetworkReceiver | undefined;
  readonly #hub: HubSide;
  #isClosed = false;

  constructor(hub: HubSide) {
    this.#hub = hub;
  }

  connect(receiver: NetworkReceiver): void {
    this.#receiver = receiver;
    receiver.setLink(true);
  }

  send(frame: Uint8Array, offload?: Offload): void {
    if (!this.#isClosed) this.#hub.send(frame, offload);
  }

  /** Hands a frame to the card, finished if it takes no other. */
  deliver(frame: Uint8Array, offload: Offload | undefined): void {
    if (offload === undefined || this.#receiver?.takesOffloads === true) this.#receiver?.receive(frame, offload);
    else completeFrame(frame, offload, (complete) => this.#receiver?.receive(complete));
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#receiver = undefined;
    this.#hub.close();
    return Promise.resolve();
  }
}

/**
 * Plugs two ports into each other, so that what one receives the other one sends. Neither has a
 * card to report the link to.
 */
export function joinPorts(a: NetworkPort, b: NetworkPort): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const)
    from.connect({ receive: (frame) => to.send(frame), setLink: () => undefined });
}
