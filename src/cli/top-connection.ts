/**
 * TopConnection: `upcall top ADDRESS` as a page of the live view that somebody else's
 * `upcall run --page` serves: it says the token of the printed address, watches tables and slots,
 * and keeps the latest of them.
 */

import { WebSocket } from 'ws';
import {
  CloseCode,
  FrameKind,
  LIVE_PATH,
  type PageMessage,
  type ServerMessage,
  type Tables,
  type Welcome,
} from '../dashboard/protocol.js';
import { decodeSlotsFrame } from '../dashboard/view/slots-frame.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { errorText } from '../io-request/error-text.js';
import type { TopSlot, TopView } from './top-screen.js';

/** `http://127.0.0.1:40123/#TOKEN`, as it was printed. Throws OPTION_INVALID. */
export function parseAddress(text: string): { readonly origin: string; readonly token: string } {
  const match = /^(http:\/\/[^/#?]+)\/?#(?:token=)?([\w-]+)$/.exec(text.trim());
  if (match?.[1] === undefined || match[2] === undefined)
    throw new UpcallError('OPTION_INVALID', `${text} is no address of a page`, {
      remedy: "Give the whole address that upcall run --page printed, in quotes: 'http://127.0.0.1:…/#…'",
    });
  return { origin: match[1], token: match[2] };
}

export class TopConnection {
  /**
   * Resolves when there is nothing more to come, with why; rejects with OPTION_INVALID when nobody
   * answered.
   */
  readonly ended: Promise<string>;
  readonly #socket: WebSocket;
  #welcome: Welcome | undefined;
  #tables: Tables | undefined;
  #clients: readonly string[] = [];
  #stops: TopView['stops'] = [];
  #slots: readonly TopSlot[] = [];
  #end: string | undefined;

  constructor(address: string) {
    const { origin, token } = parseAddress(address);
    const socket = (this.#socket = new WebSocket(`${origin.replace('http', 'ws')}${LIVE_PATH}`, {
      headers: { origin },
    }));
    const say = (message: PageMessage): void => socket.send(JSON.stringify(message));
    socket.on('open', () => say({ kind: 'hello', token }));
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#hearFrame(data);
      else {
        const message = JSON.parse(data.toString()) as ServerMessage;
        // Slots are asked for anew each time: four times a second is enough here.
        if (message.kind === 'welcome' || message.kind === 'tables')
          say({ kind: 'watch', slots: true, tables: true, moves: null });
        this.#hear(message);
      }
      if (isBinary && data[0] === FrameKind.SLOTS) say({ kind: 'watch', slots: false, tables: true, moves: null });
    });
    this.ended = new Promise((resolve, reject) => {
      socket.on('error', (error) =>
        reject(
          new UpcallError('OPTION_INVALID', `no live page at ${origin}: ${errorText(error).message}`, {
            remedy: 'Start the guest with upcall run --page, and give the address that it prints',
          }),
        ),
      );
      socket.on('close', (code) => {
        if (code === CloseCode.NOT_ALLOWED)
          reject(
            new UpcallError('OPTION_INVALID', 'the token is not this page’s', { remedy: 'Give the printed address' }),
          );
        else resolve(this.#end ?? 'the other side has closed the connection');
      });
    });
  }

  /** Undefined until there is something. */
  get view(): TopView | undefined {
    const [welcome, tables] = [this.#welcome, this.#tables];
    if (welcome === undefined || tables === undefined) return undefined;
    const { name, hypervisor } = welcome.vm;
    const end = this.#end === undefined ? {} : { end: this.#end };
    return { name, hypervisor, tables, slots: this.#slots, stops: this.#stops, ...end };
  }

  close(): void {
    this.#socket.close();
  }

  #hear(message: ServerMessage): void {
    if (message.kind === 'welcome') this.#welcome = message;
    else if (message.kind === 'tables') this.#tables = message;
    else if (message.kind === 'clients') this.#clients = message.clients.map(({ name }) => name);
    else if (message.kind === 'stops') this.#stops = message.stops;
    else if (message.kind === 'ended') this.#end = message.message;
  }

  #hearFrame(data: Buffer): void {
    if (data[0] === FrameKind.SLOTS) this.#slots = slotsOf(data, this.#clients);
  }
}

/** The slots of a frame. */
export function slotsOf(bytes: Uint8Array, clients: readonly string[]): TopSlot[] {
  const { vcpus, slots } = decodeSlotsFrame(bytes) ?? { vcpus: 0, slots: [] };
  return slots.slice(0, vcpus).map(({ vcpu, state, ageNs, client }) => ({
    vcpu,
    state,
    ageMs: ageNs / 1e6,
    client: clients[client ?? -1] ?? '',
  }));
}
