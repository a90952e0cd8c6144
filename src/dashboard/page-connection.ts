/**
 * PageConnection: the server's end of one browser's connection. It answers the page's messages, and
 * sends the data that the page watches (protocol.ts).
 *
 * Called by: LiveView, which creates one for each WebSocket; the WebSocket, with messages.
 *
 * The page is not trusted. Before it has sent the token, it gets nothing, and the server limits its
 * time. A malformed message, too many messages, or a console backlog above the limit close the
 * connection. Frames of the slots, tables and moves are dropped while the browser does not read
 * fast enough.
 *
 * Threads: the Service VM's thread only.
 */

import type { Duplex } from 'node:stream';
import { WebSocket, type RawData } from 'ws';
import { UpcallError } from '../io-request/upcall-error.js';
import type { Timing } from '../sync/timer-lateness.js';
import type { MoveSampler } from '../trace/move-sampler.js';
import type { UserVm } from '../vm/user-vm.js';
import type { ClientList } from './client-list.js';
import type { GuestConsole } from './guest-console.js';
import { Heartbeat } from './heartbeat.js';
import type { DebuggerMessage, PageHolds } from './page-holds.js';
import { PageInspection } from './page-inspection.js';
import { parsePageMessage, type PageMessage, type PageMessageOf } from './page-messages.js';
import {
  CloseCode,
  CONSOLE_HEADER_BYTES,
  FrameKind,
  MAX_MOVES_IN_FLOOD,
  MAX_MOVES_PER_MESSAGE,
  MAX_PAGES,
  type ServerMessage,
} from './protocol.js';
import { RateLimit } from '../sync/rate-limit.js';
import { filterOf, moveRow } from './rows.js';
import { isSameToken } from './same-token.js';

/** While more bytes than this are unsent, frames, tables and moves are dropped. */
export const MAX_BACKLOG_BYTES = 512 * 1024;
/**
 * If more bytes than this are unsent, the connection is closed: console bytes are never dropped.
 */
export const MAX_CONSOLE_BACKLOG_BYTES = 8 * 1024 * 1024;
/** Limit of a page's messages per second. A long paste is many messages. */
export const MAX_MESSAGES_PER_SECOND = 500;

/** The `watch` of a page that has not sent one: it gets no samples. */
const NOTHING: PageMessageOf<'watch'> = { kind: 'watch', slots: false, tables: false, moves: null };

export interface PageConnectionOptions {
  readonly socket: WebSocket;
  /** The TCP connection of `socket`, for corking. */
  readonly stream: Duplex;
  readonly token: string;
  readonly vm: UserVm;
  readonly clients: ClientList;
  readonly holds: PageHolds;
  readonly console: GuestConsole | undefined;
  /** The first messages after the token. */
  readonly initialMessages: () => readonly ServerMessage[];
  /** Called when the page has sent the token. Returns false if too many pages are open. */
  readonly admit: () => boolean;
  /** Called when the page watches something else, or was closed. */
  readonly onWatchChange: () => void;
  /** Default: the host's. */
  readonly timing?: Timing | undefined;
}

export class PageConnection {
  readonly #options: PageConnectionOptions;
  readonly #heartbeat: Heartbeat;
  /** Bytes of the messages that were sent so far. */
  #sentBytes = 0;
  /** Whether the page has sent the token and is still open. */
  #isAuthenticated = false;
  #watch = NOTHING;
  /** Frames of the slots that wait for `flushFrames`. */
  #frames: Uint8Array[] = [];
  /** Whether no frame was sent since `watch`. */
  #isFirstFrame = true;
  /** Whether the stream collects writes until the end of this turn. */
  #isCorked = false;
  #moveSampler: MoveSampler | undefined;
  readonly #inspection: PageInspection;
  readonly #rate = new RateLimit(MAX_MESSAGES_PER_SECOND);

  constructor(options: PageConnectionOptions) {
    this.#options = options;
    const { socket, vm, clients } = options;
    this.#inspection = new PageInspection(vm.inspection, clients);
    this.#heartbeat = new Heartbeat({
      socket,
      takenBytes: () => this.#sentBytes - socket.bufferedAmount,
      onGone: () => socket.terminate(),
      timing: options.timing,
    });
    socket.on('message', (data: RawData, isBinary: boolean) => this.#receive(data, isBinary));
    // `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose());
  }

  get watchesSlots(): boolean {
    return this.#watch.slots;
  }

  get watchesTables(): boolean {
    return this.#watch.tables;
  }

  get watchesInterrupts(): boolean {
    return this.#watch.interrupts === true;
  }

  get watchesMoves(): boolean {
    return this.#moveSampler !== undefined;
  }

  /** Sends a message that must not be lost. */
  send(message: ServerMessage): void {
    if (this.#isAuthenticated) this.#write(JSON.stringify(message));
  }

  /** Sends a sample, or drops it while the browser is behind: the next one replaces it. */
  sendSample(data: Uint8Array | string): void {
    if (this.#isAuthenticated && this.#options.socket.bufferedAmount <= MAX_BACKLOG_BYTES) this.#write(data);
  }

  /**
   * Queues a frame of the slots until `flushFrames`. The first frame after `watch` is sent at once.
   */
  queueFrame(frame: Uint8Array): void {
    this.#frames.push(frame.slice());
    if (this.#isFirstFrame) this.flushFrames();
  }

  /**
   * Sends the queued frames as one message: waking the browser's process is the largest cost of a
   * frame.
   */
  flushFrames(): void {
    this.#isFirstFrame = false;
    if (this.#frames.length > 0) this.sendSample(Buffer.concat(this.#frames.splice(0)));
  }

  /** Closes the connection. All that was sent so far is with the stream when this returns. */
  end(): void {
    this.#options.socket.close(CloseCode.ENDED, 'the VM has ended');
    this.#uncork();
  }

  /** Sends the moves since the last call, if the page watches moves. */
  sendMoves(): void {
    const filter = this.#watch.moves;
    if (this.#moveSampler === undefined || filter === null) return;
    if (this.#options.socket.bufferedAmount > MAX_BACKLOG_BYTES) return;
    const { moves, lost } = this.#moveSampler.take(MAX_MOVES_PER_MESSAGE, MAX_MOVES_IN_FLOOD);
    if (moves.length + lost > 0) this.send({ kind: 'moves', filter, moves: moves.map(moveRow), lost });
  }

  /** Sends output of the guest's console. */
  sendConsole(bytes: Uint8Array): void {
    if (!this.#isAuthenticated) return;
    if (this.#options.socket.bufferedAmount > MAX_CONSOLE_BACKLOG_BYTES) {
      this.#options.socket.close(CloseCode.TOO_SLOW, 'the browser does not take the console output');
      this.#onClose();
      return;
    }
    const frame = new Uint8Array(CONSOLE_HEADER_BYTES + bytes.length);
    frame[0] = FrameKind.CONSOLE;
    frame.set(bytes, CONSOLE_HEADER_BYTES);
    this.#write(frame);
  }

  #write(data: Uint8Array | string): void {
    const { socket } = this.#options;
    if (socket.readyState !== WebSocket.OPEN) return;
    this.#cork();
    this.#sentBytes += data.length;
    socket.send(data);
  }

  /**
   * Makes everything that is sent in one turn of the event loop one write, which wakes the
   * browser's process once.
   */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#options.stream.cork();
    process.nextTick(() => this.#uncork());
  }

  #uncork(): void {
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#options.stream.uncork();
  }

  #receive(data: RawData, isBinary: boolean): void {
    const { socket } = this.#options;
    if (socket.readyState !== WebSocket.OPEN) return;
    const message = isBinary || !this.#rate.allows() ? undefined : parsePageMessage(textOf(data));
    if (message === undefined) socket.close(CloseCode.BAD_MESSAGE, 'malformed message, or too many messages');
    else if (this.#isAuthenticated) this.#handle(message);
    else if (message.kind === 'hello' && isSameToken(message.token, this.#options.token)) this.#accept();
    else socket.close(CloseCode.NOT_ALLOWED, 'open the printed address');
  }

  #accept(): void {
    const { socket, console, admit, initialMessages } = this.#options;
    if (!admit()) {
      socket.close(CloseCode.TOO_MANY, `${MAX_PAGES} pages are open already`);
      return;
    }
    this.#isAuthenticated = true;
    this.#heartbeat.start();
    for (const message of initialMessages()) this.send(message);
    const history = console?.history;
    if (history !== undefined && history.length > 0) this.sendConsole(history);
  }

  #handle(message: PageMessage): void {
    const { console } = this.#options;
    switch (message.kind) {
      case 'hello':
        return;
      case 'watch':
        this.#setWatch(message);
        return;
      case 'type':
        console?.type(Buffer.from(message.text, 'utf8'));
        return;
      case 'peek':
        void this.#inspection.peek(message).then((reply) => this.send(reply));
        return;
      default:
        this.#debug(message);
    }
  }

  /** Handles a message for the debugger. Each gets a reply. */
  #debug(message: DebuggerMessage): void {
    const { id } = message;
    try {
      this.#options.holds.run(message);
      this.send({ kind: 'done', id });
    } catch (error) {
      if (!(error instanceof UpcallError)) throw error;
      this.send({ kind: 'done', id, error: error.describe() });
    }
  }

  #setWatch(watch: PageMessageOf<'watch'>): void {
    const isSameFilter = JSON.stringify(watch.moves) === JSON.stringify(this.#watch.moves);
    this.#watch = watch;
    this.#frames = [];
    this.#isFirstFrame = true;
    if (!isSameFilter) {
      this.#moveSampler?.close();
      this.#moveSampler =
        watch.moves === null ? undefined : this.#options.vm.inspection.sampleMoves(filterOf(watch.moves));
    }
    this.#options.onWatchChange();
  }

  #onClose(): void {
    this.#heartbeat.stop();
    this.#isAuthenticated = false;
    this.#inspection.close();
    this.#setWatch(NOTHING);
  }
}

function textOf(data: RawData): string {
  const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
  return bytes.toString('utf8');
}
