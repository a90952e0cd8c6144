/**
 * ClientList: the clients of a VM under the numbers that slots and pages use for them. A client
 * keeps its number after its removal. A VM that creates and destroys clients forever runs out of
 * numbers, not of memory.
 */

import { ThreadClient } from '../device-model/placement/in-own-thread.js';
import type { IoClient } from '../hsm/io-client.js';
import { hex } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';
import type { VmInspection } from '../vm/vm-inspection.js';
import { NO_CLIENT, type ClientDescription, type Clients } from './protocol.js';

/** Clients beyond this get no number. */
export const MAX_LISTED_CLIENTS = 512;
/** Ranges that are sent of one client. */
export const MAX_LISTED_RANGES = 64;

export class ClientList {
  readonly #inspection: VmInspection;
  readonly #listed: IoClient[] = [];
  readonly #numbers = new Map<IoClient, number>();

  constructor(inspection: VmInspection) {
    this.#inspection = inspection;
  }

  /** The number of the current or most recent client of slot `vcpu`. */
  ownerNumber(vcpu: number): number {
    const owner = this.#inspection.ownerOf(vcpu);
    return owner === undefined ? NO_CLIENT : this.#numberOf(owner);
  }

  /** Returns undefined if the client was removed. */
  client(number: number): IoClient | undefined {
    const client = this.#listed[number];
    return client !== undefined && this.#inspection.clients.includes(client) ? client : undefined;
  }

  message(): Clients {
    const present = new Set(this.#inspection.clients);
    const oldestFirst = [...present].reverse();
    for (const client of oldestFirst) if (this.#inspection.isDefault(client)) this.#numberOf(client);
    for (const client of oldestFirst) this.#numberOf(client);
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

  #numberOf(client: IoClient): number {
    const known = this.#numbers.get(client);
    if (known !== undefined) return known;
    if (this.#listed.length === MAX_LISTED_CLIENTS) return NO_CLIENT;
    this.#numbers.set(client, this.#listed.length);
    return this.#listed.push(client) - 1;
  }
}
