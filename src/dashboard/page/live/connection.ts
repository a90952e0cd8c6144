/**
 * Connection: the page's WebSocket to its server. It sends the token first and reconnects after a
 * lost connection. It does not reconnect if the server has closed the connection for a reason that
 * a new one would not remove (`stateAfter`).
 *
 * Called by: Live.
 */

import { CloseCode, LIVE_PATH, PROTOCOL_VERSION, type PageMessage, type ServerMessage } from '../../protocol.js';
import { takeToken } from './token.js';

/**
 * `lost`: reconnecting. `not-allowed`, `too-many`, `refused` (a message was malformed) and `over`
 * (the session has ended): closed by the server for that reason. `outdated`: this page is of
 * another version than the server.
 */
export type ConnectionState =
  'connecting' | 'open' | 'lost' | 'not-allowed' | 'too-many' | 'refused' | 'outdated' | 'over';

export interface ConnectionEvents {
  readonly onState: (state: ConnectionState) => void;
  readonly onMessage: (message: ServerMessage) => void;
  /** Called with each binary message. Its first byte is a FrameKind. */
  readonly onFrame: (frame: ArrayBuffer) => void;
}

/** Time between a lost connection and the next attempt. */
const RECONNECT_MS = 1000;

export class Connection {
  readonly #events: ConnectionEvents;
  #socket: WebSocket | undefined;

  constructor(events: ConnectionEvents) {
    this.#events = events;
  }

  open(): void {
    const address = new URL(LIVE_PATH, location.href);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.send({ kind: 'hello', token: takeToken() });
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data !== 'string') this.#events.onFrame(data);
      else this.#receive(JSON.parse(data) as ServerMessage);
    };
    socket.onclose = ({ code }) => {
      const state = stateAfter(code);
      this.#events.onState(state);
      if (state === 'lost') setTimeout(() => this.open(), RECONNECT_MS);
    };
  }

  /** Returns false if there is no connection: the message is lost. */
  send(message: PageMessage): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #receive(message: ServerMessage): void {
    if (message.kind === 'welcome' && message.protocol !== PROTOCOL_VERSION) {
      this.#leave('outdated');
      return;
    }
    if (message.kind === 'welcome') this.#events.onState('open');
    this.#events.onMessage(message);
  }

  /** Closes the connection without a reconnection. */
  #leave(state: ConnectionState): void {
    if (this.#socket !== undefined) {
      this.#socket.onmessage = null;
      this.#socket.onclose = null;
      this.#socket.close();
    }
    this.#events.onState(state);
  }
}

function stateAfter(code: number): ConnectionState {
  switch (code) {
    case CloseCode.NOT_ALLOWED:
      return 'not-allowed';
    case CloseCode.TOO_MANY:
      return 'too-many';
    case CloseCode.BAD_MESSAGE:
      return 'refused';
    case CloseCode.ENDED:
      return 'over';
    // Also TOO_SLOW: a new connection begins with the console's history.
    default:
      return 'lost';
  }
}
