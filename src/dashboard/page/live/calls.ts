/**
 * Calls: the page's messages that get a reply, and the promises of these replies. A message and its
 * reply have the same `id`.
 *
 * Called by: Live.
 */

import type { Done, PageMessage, Registers } from '../../protocol.js';

export type Reply = Done | Registers;
/** A message that gets a reply, before it has its `id`. */
export type Call = WithoutId<Extract<PageMessage, { readonly id: number }>>;
type WithoutId<Message> = Message extends unknown ? Omit<Message, 'id'> : never;

export class Calls {
  readonly #send: (message: PageMessage) => boolean;
  /** By `id`: resolves the promise of a call without a reply yet. */
  readonly #open = new Map<number, (reply: Reply) => void>();
  #nextId = 1;

  constructor(send: (message: PageMessage) => boolean) {
    this.#send = send;
  }

  /** Sends a message. Always resolves: without a connection the reply is an error. */
  call(call: Call): Promise<Reply> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#open.set(id, resolve);
      if (!this.#send({ ...call, id })) this.settle(notConnected(id));
    });
  }

  /** Passes a reply of the server to its caller. */
  settle(reply: Reply): void {
    const resolve = this.#open.get(reply.id);
    this.#open.delete(reply.id);
    resolve?.(reply);
  }

  /** Call it when the connection is lost: no reply will come. */
  failAll(): void {
    for (const id of [...this.#open.keys()]) this.settle(notConnected(id));
  }
}

function notConnected(id: number): Done {
  return { kind: 'done', id, error: 'not connected' };
}
