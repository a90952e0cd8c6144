/**
 * ClientList: gives each I/O client of a VM a number, its index in the `clients` message. Frames of
 * the slots, and requests that the browser's page sends, name a client by it. A client keeps its
 * number after its removal, so the list only grows, up to a limit.
 *
 * Called by: LiveView, SlotSampler and PageInspection; `upcall top`.
 * Threads: the Service VM's.
 */

import { ThreadClient } from '../device-model/placement/in-own-thread.js';
import type { IoClient } from '../hsm/io-client.js';
import { hex } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';
import type { VmInspection } from '../vm/vm-inspection.js';
import { NO_CLIENT, type ClientDescription, type Clients } from './protocol.js';

/** How many clients get a number. */
export const MAX_LISTED_CLIENTS = 512;
/** How many ranges of a client are sent. */
export const MAX_LISTED_RANGES = 64;

export class ClientList {
  readonly #inspection: VmInspection;
  /** The clients that have a number, which is their index here. */
  readonly #listed: IoClient[] = [];
  readonly #numbers = new Map<IoClient, number>();

  constructor(inspection: VmInspection) {
    this.#inspection = inspection;
  }

  /**
   * The number of the current or most recent client of slot `vcpu`, or NO_CLIENT. Gives a new
   * client its number.
   */
  ownerNumber(vcpu: number): number {
    const owner = this.#inspection.ownerOf(vcpu);
    return owner === undefined ? NO_CLIENT : this.#numberOf(owner);
  }

  /** The client with this number. Undefined if it was removed, or if no client has the number. */
  client(number: number): IoClient | undefined {
    const client = this.#listed[number];
    return client !== undefined && this.#inspection.clients.includes(client) ? client : undefined;
  }

  /** The `clients` message. Gives numbers to new clients. */
  message(): Clients {
    const present = new Set(this.#inspection.clients);
    // The page lists clients in the order of their numbers: the default client, then the others by
    // age. The inspection has the default client first, too, but then the newest.
    const all = [...present].reverse();
    for (const client of all) if (this.#inspection.isDefault(client)) this.#numberOf(client);
    for (const client of all) this.#numberOf(client);
    return {
      kind: 'clients',
      clients: this.#listed.map((client) => this.#describe(client, !present.has(client))),
    };
  }

  #describe(client: IoClient, isRemoved: boolean): ClientDescription {
    const ranges = isRemoved ? [] : this.#inspection.rangesOf(client);
    return {
      name: client.name,
      isDefault: this.#inspection.isDefault(client),
      isThreaded: client instanceof ThreadClient,
      isRemoved,
      hasRegisters: !isRemoved && this.#inspection.hasRegisters(client),
      ranges: ranges.slice(0, MAX_LISTED_RANGES).map((range) => ({
        type: range.type === IoRequestType.PORT ? 'port' : 'mmio',
        first: hex(range.start),
        last: hex(range.end),
      })),
    };
  }

  /** The client's number. Gives it one at the first call, NO_CLIENT above the limit. */
  #numberOf(client: IoClient): number {
    const known = this.#numbers.get(client);
    if (known !== undefined) return known;
    if (this.#listed.length === MAX_LISTED_CLIENTS) return NO_CLIENT;
    this.#numbers.set(client, this.#listed.length);
    return this.#listed.push(client) - 1;
  }
}
