/**
 * ClientList: the clients of a VM under the numbers that slots and pages use for them. A number stays with its client,
 * also when the client is gone; VMs that make and destroy clients for ever run out of numbers, not of memory.
 */

import { ThreadClient } from '../device-model/placement/in-own-thread.js';
import type { IoClient } from '../hsm/io-client.js';
import { hex } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';
import type { VmInspection } from '../vm/vm-inspection.js';
import { NO_CLIENT, type ClientDescription, type Clients } from './protocol.js';

/** Clients that get a number; those beyond are nobody to the page. */
export const MAX_LISTED_CLIENTS = 512;
/** Ranges of one client that are told. */
export const MAX_LISTED_RANGES = 64;

export class ClientList {
  readonly #inspection: VmInspection;
  readonly #listed: IoClient[] = [];
  readonly #numbers = new Map<IoClient, number>();

  constructor(inspection: VmInspection) {
    this.#inspection = inspection;
  }

  /** The number of who has slot `vcpu`, or had it last. */
  ownerNumber(vcpu: number): number {
    const owner = this.#inspection.ownerOf(vcpu);
    return owner === undefined ? NO_CLIENT : this.#numberOf(owner);
  }

  /** The client with this number, unless it is gone. */
  client(number: number): IoClient | undefined {
    const client = this.#listed[number];
    return client !== undefined && this.#inspection.clients.includes(client) ? client : undefined;
  }

  message(): Clients {
    const present = new Set(this.#inspection.clients);
    for (const client of [...present].reverse()) if (this.#inspection.isDefault(client)) this.#numberOf(client);
    for (const client of [...present].reverse()) this.#numberOf(client);
    return { kind: 'clients', clients: this.#listed.map((client) => this.#describe(client, !present.has(client))) };
  }

  #describe(client: IoClient, isGone: boolean): ClientDescription {
    return {
      name: client.name,
      isDefault: this.#inspection.isDefault(client),
      isThreaded: client instanceof ThreadClient,
      isGone,
      hasRegisters: !isGone && this.#inspection.hasRegisters(client),
      ranges: (isGone ? [] : this.#inspection.rangesOf(client)).slice(0, MAX_LISTED_RANGES).map((range) => ({
        type: range.type === IoRequestType.PORT ? 'port' : 'mmio',
        first: hex(range.start),
        last: hex(range.end),
      })),
    };
  }

  #numberOf(client: IoClient): number {
    const known = this.#numbers.get(client);
    if (known !== undefined) return known;
    if (this.#listed.length === MAX_LISTED_CLIENTS) return NO_CLIENT;
    this.#numbers.set(client, this.#listed.length);
    return this.#listed.push(client) - 1;
  }
}
