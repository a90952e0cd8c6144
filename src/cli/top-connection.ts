/**
 * TopConnection: the client side of `upcall top ADDRESS`. It connects to the live page of another
 * `upcall run --page` as a browser would, and keeps the latest of what it sends
 * (dashboard/protocol.ts).
 *
 * Called by: commands/top-watch.ts.
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

/** Parses a printed address, `http://127.0.0.1:40123/#TOKEN`. Throws OPTION_INVALID. */
export function parseAddress(text: string): { readonly origin: string; readonly token: string } {
  const match = /^(http:\/\/[^/#?]+)\/?#(?:token=)?([\w-]+)$/.exec(text.trim());
  if (match?.[1] === undefined || match[2] === undefined)
    throw new UpcallError('OPTION_INVALID', `${text}: expected the address of a live page`, {
      remedy: "Give the complete address that upcall run --page printed, in quotes: 'http://127.0.0.1:…/#…'",
    });
  return { origin: match[1], token: match[2] };
}

export class TopConnection {
  /**
   * Resolves with the reason when the view ends. Rejects with OPTION_INVALID if no page answers, or
   * the page rejects the token.
   */
  readonly ended: Promise<string>;
  readonly #socket: WebSocket;
  #welcome: Welcome | undefined;
  #tables: Tables | undefined;
  #clients: readonly string[] = [];
  #stops: TopView['stops'] = [];
  #slots: readonly TopSlot[] = [];
  /** Why the VM ended, once it has. */
  #end: string | undefined;

  /** Connects. Throws as `parseAddress`. */
  constructor(address: string) {
    const { origin, token } = parseAddress(address);
    const socket = (this.#socket = new WebSocket(`${origin.replace('http', 'ws')}${LIVE_PATH}`, {
      headers: { origin },
    }));
    const send = (message: PageMessage): void => socket.send(JSON.stringify(message));
    socket.on('open', () => send({ kind: 'hello', token }));
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#handleFrame(data);
      else {
        const message = JSON.parse(data.toString()) as ServerMessage;
        // The server sends tables four times a second, but frames of slots more often. So slots are
        // requested with each tables message, and cancelled again when their frame has come.
        if (message.kind === 'welcome' || message.kind === 'tables')
          send({ kind: 'watch', slots: true, tables: true, moves: null });
        this.#handle(message);
      }
      if (isBinary && data[0] === FrameKind.SLOTS) send({ kind: 'watch', slots: false, tables: true, moves: null });
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
            new UpcallError('OPTION_INVALID', 'the live page rejected the token', {
              remedy: 'Give the address as printed',
            }),
          );
        else resolve(this.#end ?? 'the page closed the connection');
      });
    });
  }

  /** Undefined until the first tables arrive. */
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

  #handle(message: ServerMessage): void {
    if (message.kind === 'welcome') this.#welcome = message;
    else if (message.kind === 'tables') this.#tables = message;
    else if (message.kind === 'clients') this.#clients = message.clients.map(({ name }) => name);
    else if (message.kind === 'stops') this.#stops = message.stops;
    else if (message.kind === 'ended') this.#end = message.message;
  }

  #handleFrame(data: Buffer): void {
    if (data[0] === FrameKind.SLOTS) this.#slots = slotsOf(data, this.#clients);
  }
}

/** Decodes the slots of a frame of kind SLOTS. `clients`: the clients' names, by index. */
export function slotsOf(bytes: Uint8Array, clients: readonly string[]): TopSlot[] {
  const { vcpus, slots } = decodeSlotsFrame(bytes) ?? { vcpus: 0, slots: [] };
  return slots.slice(0, vcpus).map(({ vcpu, state, ageNs, client }) => ({
    vcpu,
    state,
    ageMs: ageNs / 1e6,
    client: clients[client ?? -1] ?? '',
  }));
}
