/**
 * PageConnection: one open page: what it may say and wants to watch, and what it is sent. It believes nothing before the
 * token; a message that is none, too many messages, or a browser that does not take the console end it. Frames, tables and
 * moves that a slow browser does not take are left out.
 */

import { timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { WebSocket, type RawData } from 'ws';
import { UpcallError } from '../io-request/upcall-error.js';
import { hex } from '../io-request/io-request.js';
import type { IoClient } from '../hsm/io-client.js';
import type { MoveSampler } from '../trace/move-sampler.js';
import type { UserVm } from '../vm/user-vm.js';
import type { ClientList } from './client-list.js';
import type { GuestConsole } from './guest-console.js';
import { parsePageMessage, type PageMessage, type PageMessageOf } from './page-messages.js';
import {
  CloseCode,
  CONSOLE_HEADER_BYTES,
  FrameKind,
  HELLO_MS,
  MAX_MOVES_OF_FLOOD,
  MAX_MOVES_PER_MESSAGE,
  type ServerMessage,
} from './protocol.js';
import { breakpointOf, filterOf, moveRow } from './rows.js';

/** Bytes that may wait for the browser before frames, tables and moves are left out. */
export const MAX_BACKLOG_BYTES = 512 * 1024;
/** Bytes that may wait for it at all: the console is not left out. */
export const MAX_CONSOLE_BACKLOG_BYTES = 8 * 1024 * 1024;
/** Messages that a page may send in a second; pasting is many. */
export const MAX_MESSAGES_PER_SECOND = 500;

const NOTHING: PageMessageOf<'watch'> = { kind: 'watch', slots: false, tables: false, moves: null };

export interface PageConnectionOptions {
  readonly socket: WebSocket;
  /** What `socket` writes to. */
  readonly stream: Duplex;
  readonly token: string;
  readonly vm: UserVm;
  readonly clients: ClientList;
  readonly console: GuestConsole | undefined;
  /** What a page is told first. */
  readonly greetings: () => readonly ServerMessage[];
  /** It wants something else than before, or is gone. */
  readonly onChange: () => void;
}

export class PageConnection {
  readonly #options: PageConnectionOptions;
  readonly #helloTimer: NodeJS.Timeout;
  #isWelcome = false;
  #watch = NOTHING;
  /** Until `sendSlots`. */
  #frames: Uint8Array[] = [];
  /** It has not seen what it asked for. */
  #isNewToSlots = true;
  #isGathering = false;
  #glance: MoveSampler | undefined;
  #messages = 0;
  #secondStartMs = 0;

  constructor(options: PageConnectionOptions) {
    this.#options = options;
    const { socket } = options;
    this.#helloTimer = setTimeout(() => socket.close(CloseCode.NOT_ALLOWED, 'no hello'), HELLO_MS);
    socket.on('message', (data: RawData, isBinary: boolean) => this.#receive(data, isBinary));
    // A broken connection is told by `close` as well.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#left());
  }

  get isWelcome(): boolean {
    return this.#isWelcome;
  }

  get watchesSlots(): boolean {
    return this.#watch.slots;
  }

  get watchesTables(): boolean {
    return this.#watch.tables;
  }

  get watchesMoves(): boolean {
    return this.#glance !== undefined;
  }

  /** Text that must not be lost; there is little of it. */
  tell(message: ServerMessage): void {
    if (this.#isWelcome) this.#send(JSON.stringify(message));
  }

  /** What the next one will replace anyway. */
  show(data: Uint8Array | string): void {
    if (this.#isWelcome && this.#options.socket.bufferedAmount <= MAX_BACKLOG_BYTES) this.#send(data);
  }

  /** Holds a frame for `sendSlots`. Who has just asked for something gets the first one at once. */
  showSlots(frame: Uint8Array): void {
    this.#frames.push(frame.slice());
    if (this.#isNewToSlots) this.sendSlots();
  }

  /** Frames travel together: waking a browser's process takes longer than all else that is done for one. */
  sendSlots(): void {
    this.#isNewToSlots = false;
    if (this.#frames.length > 0) this.show(Buffer.concat(this.#frames.splice(0)));
  }

  /** Nothing more is sent; what was sent is on its way when this returns. */
  end(): void {
    this.#options.socket.close(CloseCode.ENDED, 'the machine is gone');
    this.#flush();
  }

  showMoves(): void {
    const filter = this.#watch.moves;
    if (this.#glance === undefined || filter === null) return;
    if (this.#options.socket.bufferedAmount > MAX_BACKLOG_BYTES) return;
    const { moves, lost } = this.#glance.take(MAX_MOVES_PER_MESSAGE, MAX_MOVES_OF_FLOOD);
    if (moves.length + lost > 0) this.tell({ kind: 'moves', filter, moves: moves.map(moveRow), lost });
  }

  sendConsole(bytes: Uint8Array): void {
    if (!this.#isWelcome) return;
    if (this.#options.socket.bufferedAmount > MAX_CONSOLE_BACKLOG_BYTES) {
      this.#options.socket.close(CloseCode.TOO_SLOW, 'the browser is too slow for the console');
      this.#left();
      return;
    }
    const frame = new Uint8Array(CONSOLE_HEADER_BYTES + bytes.length);
    frame[0] = FrameKind.CONSOLE;
    frame.set(bytes, CONSOLE_HEADER_BYTES);
    this.#send(frame);
  }

  #send(data: Uint8Array | string): void {
    const { socket } = this.#options;
    if (socket.readyState !== WebSocket.OPEN) return;
    this.#gather();
    socket.send(data);
  }

  /** What is sent in one turn of the event loop is one write, and wakes the browser's process once. */
  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#options.stream.cork();
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    if (!this.#isGathering) return;
    this.#isGathering = false;
    this.#options.stream.uncork();
  }

  #receive(data: RawData, isBinary: boolean): void {
    const { socket } = this.#options;
    if (socket.readyState !== WebSocket.OPEN) return;
    const message = isBinary || this.#isTooMany() ? undefined : parsePageMessage(textOf(data));
    if (message === undefined) socket.close(CloseCode.BAD_MESSAGE, 'no message of a page');
    else if (this.#isWelcome) this.#act(message);
    else if (message.kind === 'hello' && isSame(message.token, this.#options.token)) this.#welcome();
    else socket.close(CloseCode.NOT_ALLOWED, 'open the printed address');
  }

  #isTooMany(): boolean {
    const now = performance.now();
    if (now - this.#secondStartMs > 1000) {
      this.#secondStartMs = now;
      this.#messages = 0;
    }
    return ++this.#messages > MAX_MESSAGES_PER_SECOND;
  }

  #welcome(): void {
    const { console, greetings } = this.#options;
    clearTimeout(this.#helloTimer);
    this.#isWelcome = true;
    for (const message of greetings()) this.tell(message);
    const history = console?.history;
    if (history !== undefined && history.length > 0) this.sendConsole(history);
  }

  #act(message: PageMessage): void {
    const { vm, clients, console } = this.#options;
    switch (message.kind) {
      case 'hello':
        return;
      case 'watch':
        this.#watchFor(message);
        return;
      case 'type':
        console?.type(Buffer.from(message.text, 'utf8'));
        return;
      case 'peek': {
        const client = clients.client(message.client);
        if (client === undefined)
          this.tell({ kind: 'done', id: message.id, error: 'there is no such client any more' });
        else void this.#tellRegisters(message, client);
        return;
      }
      default:
        this.#debug(message, vm);
    }
  }

  /** What changes the guest's requests; each is answered. */
  #debug(message: Exclude<PageMessage, { readonly kind: 'hello' | 'watch' | 'type' | 'peek' }>, vm: UserVm): void {
    const { id } = message;
    try {
      if (message.kind === 'hold-all') vm.debugger.holdAll = { pending: message.pending, complete: message.complete };
      else if (message.kind === 'break') vm.debugger.add(breakpointOf(message.breakpoint));
      else if (message.kind === 'unbreak') vm.debugger.remove(message.number);
      else if (message.kind === 'change') vm.debugger.change(message.vcpu, BigInt(message.value));
      else if (message.kind === 'step') vm.debugger.step(message.vcpu);
      else if (message.kind === 'detach') vm.debugger.detach();
      else if (message.vcpu === null) vm.debugger.goAll();
      else vm.debugger.go(message.vcpu);
      this.tell({ kind: 'done', id });
    } catch (error) {
      if (!(error instanceof UpcallError)) throw error;
      this.tell({ kind: 'done', id, error: error.describe() });
    }
  }

  /** A device in a thread of its own takes its time, though not for long. */
  async #tellRegisters({ id, client: number }: PageMessageOf<'peek'>, client: IoClient): Promise<void> {
    const { source, isAnswered, registers } = await this.#options.vm.inspection.peek(client);
    this.tell({
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
    });
  }

  #watchFor(watch: PageMessageOf<'watch'>): void {
    const isSameFilter = JSON.stringify(watch.moves) === JSON.stringify(this.#watch.moves);
    this.#watch = watch;
    this.#frames = [];
    this.#isNewToSlots = true;
    if (!isSameFilter) {
      this.#glance?.close();
      this.#glance = watch.moves === null ? undefined : this.#options.vm.inspection.sampleMoves(filterOf(watch.moves));
    }
    this.#options.onChange();
  }

  #left(): void {
    clearTimeout(this.#helloTimer);
    this.#isWelcome = false;
    this.#watchFor(NOTHING);
  }
}

function textOf(data: RawData): string {
  const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
  return bytes.toString('utf8');
}

function isSame(a: string, b: string): boolean {
  const [first, second] = [Buffer.from(a), Buffer.from(b)];
  return first.length === second.length && timingSafeEqual(first, second);
}
