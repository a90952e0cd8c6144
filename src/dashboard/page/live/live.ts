/**
 * Live: the VM's data in the page, as signals. A component is drawn again when a signal changes
 * that its render reads. One frame of the slots is decoded per screen refresh.
 */

import { batch, signal, type Signal } from '@preact/signals';
import { SLOT_COUNT } from '../../../io-request/layout.js';
import {
  CONSOLE_HEADER_BYTES,
  FRAMES_PER_MESSAGE,
  framesIn,
  FrameKind,
  MAX_TYPED_CHARACTERS,
  type ClientDescription,
  type Ended,
  type MoveFilterFields,
  type ServerMessage,
  type Stops,
  type Tables,
  type EventMessage,
  type Welcome,
} from '../../protocol.js';
import { LatencyHistory } from '../../view/latency-history.js';
import { MoveList, type ListedMove } from '../../view/move-list.js';
import { decodeSlotsFrame, isSameBytes, withoutRepeats, type SlotView } from '../../view/slots-frame.js';
import { Connection, type ConnectionState } from './connection.js';
import { listIntervalMs, onNextFrame } from './redraw-rate.js';
import { Calls, type Reply, type Call } from './calls.js';

const MAX_LOGGED_EVENTS = 100;

export interface LoggedEvent extends Omit<EventMessage, 'kind'> {
  readonly key: number;
  readonly time: Date;
}

export class Live {
  readonly connection = signal<ConnectionState>('connecting');
  readonly welcome = signal<Welcome | undefined>(undefined);
  readonly clients = signal<readonly ClientDescription[]>([]);
  readonly tables = signal<Tables | undefined>(undefined);
  /** The message before, for the rates of totals. */
  readonly tablesBefore = signal<Tables | undefined>(undefined);
  readonly moves = signal<readonly ListedMove[]>([]);
  readonly missedMoves = signal(0);
  readonly stops = signal<Stops | undefined>(undefined);
  readonly slots: readonly Signal<SlotView | undefined>[] = Array.from({ length: SLOT_COUNT }, () =>
    signal<SlotView | undefined>(undefined),
  );
  readonly vcpus = signal(0);
  readonly events = signal<readonly LoggedEvent[]>([]);
  readonly ended = signal<Ended | undefined>(undefined);
  readonly history = new LatencyHistory();
  /** Called with the guest's output. `undefined`: a new connection, whose history follows. */
  onConsole: (bytes: Uint8Array | undefined) => void = () => undefined;

  readonly #connection: Connection;
  readonly #calls: Calls;
  readonly #list = new MoveList();
  /** To be drawn. */
  #frames: Uint8Array[] = [];
  #movesTimer: ReturnType<typeof setTimeout> | undefined;
  #eventKey = 0;
  #watch = { slots: false, tables: false, moves: null as MoveFilterFields | null };

  constructor() {
    this.#connection = new Connection({
      onState: (state) => this.#onState(state),
      onMessage: (message) => batch(() => this.#receive(message)),
      onFrame: (frame) => this.#receiveBytes(frame),
    });
    this.#calls = new Calls((message) => this.#connection.send(message));
  }

  open(): void {
    this.#connection.open();
  }

  /** What the server sends from now on. Repeated after each reconnection. */
  watch(slots: boolean, tables: boolean, moves: MoveFilterFields | null): void {
    const isChanged = JSON.stringify(moves) !== JSON.stringify(this.#watch.moves);
    if (isChanged && moves !== null && !this.#list.isPaused) this.#clearMoves();
    this.#watch = { slots, tables, moves };
    this.#connection.send({ kind: 'watch', ...this.#watch });
  }

  pauseMoves(isPaused: boolean): void {
    this.#list.isPaused = isPaused;
  }

  /** Input for the guest. */
  type(text: string): void {
    for (let at = 0; at < text.length; at += MAX_TYPED_CHARACTERS)
      this.#connection.send({ kind: 'type', text: text.slice(at, at + MAX_TYPED_CHARACTERS) });
  }

  call(call: Call): Promise<Reply> {
    return this.#calls.call(call);
  }

  /** Runs a command without a result. An error goes to the event log. */
  async run(call: Call): Promise<void> {
    const reply = await this.call(call);
    if (reply.kind === 'done' && reply.error !== undefined) this.#log('refused', reply.error);
  }

  #onState(state: ConnectionState): void {
    this.connection.value = state;
    if (state !== 'open' && state !== 'connecting') this.#calls.failAll();
  }

  #receive(message: ServerMessage): void {
    switch (message.kind) {
      case 'welcome':
        this.welcome.value = message;
        this.onConsole(undefined);
        this.#clearMoves();
        this.#connection.send({ kind: 'watch', ...this.#watch });
        return;
      case 'clients':
        this.clients.value = message.clients;
        return;
      case 'tables':
        this.history.add(message);
        this.tablesBefore.value = this.tables.value;
        this.tables.value = message;
        return;
      case 'moves':
        // Sent before the filter was changed.
        if (JSON.stringify(message.filter) !== JSON.stringify(this.#watch.moves)) return;
        this.#list.add(message.moves, message.lost);
        this.#movesTimer ??= setTimeout(() => this.#showMoves(), listIntervalMs());
        return;
      case 'stops':
        this.stops.value = message;
        return;
      case 'registers':
      case 'done':
        this.#calls.settle(message);
        return;
      case 'event':
        this.#log(message.event, message.text);
        return;
      case 'ended':
        this.ended.value = message;
    }
  }

  #receiveBytes(frame: ArrayBuffer): void {
    const kind = new Uint8Array(frame, 0, 1)[0];
    if (kind === FrameKind.CONSOLE) this.onConsole(new Uint8Array(frame, CONSOLE_HEADER_BYTES));
    else if (kind === FrameKind.SLOTS) {
      if (this.#frames.length === 0) onNextFrame(() => this.#draw());
      const bytes = new Uint8Array(frame);
      const frames = framesIn(bytes).map(({ start, end }) => bytes.subarray(start, end));
      // Frames older than one message arrived while the page was not drawn.
      this.#frames = withoutRepeats([...this.#frames, ...frames].slice(-FRAMES_PER_MESSAGE));
    }
  }

  /** Draws one frame. The frames of a message are a sixtieth of a second apart. */
  #draw(): void {
    const next = this.#frames.shift();
    if (this.#frames.length > 0) onNextFrame(() => this.#draw());
    const frame = next && decodeSlotsFrame(next);
    if (frame === undefined) return;
    batch(() => {
      this.vcpus.value = frame.vcpus;
      for (const slot of frame.slots) this.#updateSlot(slot, slot.vcpu < frame.vcpus);
    });
  }

  /** Keeps the array of unchanged bytes: a component that shows them is not drawn again. */
  #updateSlot(slot: SlotView, isUsed: boolean): void {
    const known = this.slots[slot.vcpu];
    if (known === undefined) return;
    const bytes = known.value?.bytes;
    if (bytes === undefined || !isSameBytes(bytes, slot.bytes)) known.value = slot;
    else if (isUsed) known.value = { ...slot, bytes };
  }

  #showMoves(): void {
    this.#movesTimer = undefined;
    batch(() => {
      this.moves.value = this.#list.moves.slice();
      this.missedMoves.value = this.#list.missed;
    });
  }

  #log(event: string, text: string): void {
    this.events.value = [...this.events.value, { event, text, key: this.#eventKey++, time: new Date() }].slice(
      -MAX_LOGGED_EVENTS,
    );
  }

  #clearMoves(): void {
    this.#list.clear();
    this.moves.value = [];
    this.missedMoves.value = 0;
  }
}
