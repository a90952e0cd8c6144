/**
 * PageInspection: answers a page's questions about the VM that change nothing: the registers of a
 * device, or what is known of one without a register map, and PCI functions.
 *
 * Called by: PageConnection, for its page.
 * Threads: the Service VM's.
 */

import type { IoClient } from '../hsm/io-client.js';
import { hex } from '../io-request/io-request.js';
import type { VmInspection } from '../vm/vm-inspection.js';
import type { ClientList } from './client-list.js';
import { DeviceAccesses } from './device-accesses.js';
import { functionRow } from './function-rows.js';
import type { PageMessageOf } from './page-messages.js';
import { MAX_RAW_BYTES, type RawBytes, type ServerMessage } from './protocol.js';

export class PageInspection {
  readonly #inspection: VmInspection;
  readonly #clients: ClientList;
  /** The accesses of the client that the page shows, if it has no register map. */
  #accesses: DeviceAccesses | undefined;
  /** Peeks so far. They may overlap, and the page shows what it asked for last. */
  #peeks = 0;
  /** A `peek` may still be open then. */
  #isClosed = false;

  constructor(inspection: VmInspection, clients: ClientList) {
    this.#inspection = inspection;
    this.#clients = clients;
  }

  /**
   * The reply to `peek`: `registers`, or `done` with an error if there is no such client. For a
   * device in a thread of its own it may take until the peek's time limit.
   */
  async peek({ id, client: number }: PageMessageOf<'peek'>): Promise<ServerMessage> {
    const client = this.#clients.client(number);
    if (client === undefined) return { kind: 'done', id, error: 'no such client: it was removed' };
    const peek = ++this.#peeks;
    const { source, isAnswered, registers } = await this.#inspection.peek(client);
    const hasMap = registers.length > 0;
    if (peek === this.#peeks) this.#record(hasMap ? undefined : client);
    return {
      kind: 'registers',
      id,
      client: number,
      source,
      isAnswered,
      registers: registers.map(({ register: { name, offset, size, access, meaning, fields = [] }, value }) => ({
        name,
        offset,
        size,
        access,
        meaning,
        value: value === undefined ? null : hex(value, 2 * size),
        fields,
      })),
      bytes: hasMap ? [] : this.#bytesOf(client),
      accesses: this.#accesses?.client === client ? this.#accesses.rows() : [],
      functions: this.#inspection.functions(client).map(functionRow),
    };
  }

  /** Call it when the connection of the page has ended. */
  close(): void {
    this.#isClosed = true;
    this.#record(undefined);
  }

  #bytesOf(client: IoClient): RawBytes[] {
    return this.#inspection
      .peekBytes(client, MAX_RAW_BYTES)
      .map(({ range, bytes }) => ({ first: hex(range.start), bytes: bytes.map((byte) => byte ?? null) }));
  }

  /** Records the accesses of one client, and no longer those of another one. */
  #record(shown: IoClient | undefined): void {
    const client = this.#isClosed ? undefined : shown;
    if (this.#accesses?.client === client) return;
    this.#accesses?.close();
    this.#accesses = client && new DeviceAccesses(this.#inspection, client);
  }
}
