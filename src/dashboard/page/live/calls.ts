/** Calls: messages with an `id`, and the promises of their replies. */

import type { Done, PageMessage, Registers } from '../../protocol.js';

export type Reply = Done | Registers;
/** A message that gets a reply, before it has its number. */
export type Call = WithoutId<Extract<PageMessage, { readonly id: number }>>;
type WithoutId<Message> = Message extends unknown ? Omit<Message, 'id'> : never;

export class Calls {
  readonly #send: (message: PageMessage) => boolean;
  readonly #open = new Map<number, (reply: Reply) => void>();
  #nextId = 1;

  constructor(send: (message: PageMessage) => boolean) {
    this.#send = send;
  }

  /** Always resolves. Without a connection the reply is an error. */
  call(call: Call): Promise<Reply> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#open.set(id, resolve);
      if (!this.#send({ ...call, id })) this.settle(notConnected(id));
    });
  }

  settle(reply: Reply): void {
    const resolve = this.#open.get(reply.id);
    this.#open.delete(reply.id);
    resolve?.(reply);
  }

  /** The connection is lost, and its replies with it. */
  failAll(): void {
    for (const id of [...this.#open.keys()]) this.settle(notConnected(id));
  }
}

function notConnected(id: number): Done {
  return { kind: 'done', id, error: 'not connected' };
}
