/** Questions: messages with an `id`, and the promises of their answers. */

import type { Done, PageMessage, Registers } from '../../protocol.js';

export type Answer = Done | Registers;
/** A message that wants an answer, before it has its number. */
export type Question = WithoutId<Extract<PageMessage, { readonly id: number }>>;
type WithoutId<Message> = Message extends unknown ? Omit<Message, 'id'> : never;

export class Questions {
  readonly #send: (message: PageMessage) => boolean;
  readonly #open = new Map<number, (answer: Answer) => void>();
  #next = 1;

  constructor(send: (message: PageMessage) => boolean) {
    this.#send = send;
  }

  /** Always resolves: without a connection, with an error. */
  ask(question: Question): Promise<Answer> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#open.set(id, resolve);
      if (!this.#send({ ...question, id })) this.hear(notConnected(id));
    });
  }

  hear(answer: Answer): void {
    const resolve = this.#open.get(answer.id);
    this.#open.delete(answer.id);
    resolve?.(answer);
  }

  /** The connection is gone, and with it the answers. */
  giveUp(): void {
    for (const id of [...this.#open.keys()]) this.hear(notConnected(id));
  }
}

function notConnected(id: number): Done {
  return { kind: 'done', id, error: 'not connected' };
}
