/**
 * Live: the VM's data in the page, as signals, and the commands for the VM. It receives the
 * server's messages (protocol.ts). A component is drawn again when a signal changes that its render
 * reads.
 *
 * Called by: main.tsx, which creates it; UiState (`watch`, `pauseMoves`); components, through
 * useApp (parts/app-context.ts).
 */

import { batch, signal, type Signal } from '@preact/signals';
import { SLOT_COUNT } from '../../../io-request/layout.js';
import {
  CONSOLE_HEADER_BYTES,
  FRAMES_PER_MESSAGE,
  framesIn,
  FrameKind,
  type ClientDescription,
  type Ended,
  type MoveFilterFields,
  type ServerMessage,
  type Stops,
  type Tables,
  type EventMessage,
  type Interrupts,
  type Welcome,
} from '../../protocol.js';
import { LatencyHistory } from '../../view/latency-history.js';
import { MoveList, type ListedMove } from '../../view/move-list.js';
import { decodeSlotsFrame, isSameBytes, withoutRepeats, type SlotView } from '../../view/slots-frame.js';
import { typedPieces } from '../../view/typed-fields.js';
import { Connection, type ConnectionState } from './connection.js';
import { listIntervalMs, onNextFrame } from './redraw-rate.js';
import { Calls, type Reply, type Call } from './calls.js';

const MAX_LOGGED_EVENTS = 100;

/** An event in the list of events. `key`: unique in this page. */
export interface LoggedEvent extends Omit<EventMessage, 'kind'> {
  readonly key: number;
  readonly time: Date;
}

/** What the server is to send. `moves`: those that pass this filter, null for none. */
export interface Watched {
  readonly slots: boolean;
  readonly tables: boolean;
  readonly moves: MoveFilterFields | null;
  readonly interrupts: boolean;
}

export class Live {
  readonly connection = signal<ConnectionState>('connecting');
  readonly welcome = signal<Welcome | undefined>(undefined);
  readonly clients = signal<readonly ClientDescription[]>([]);
  readonly tables = signal<Tables | undefined>(undefined);
  /** The previous `tables` message, for the rates of totals. */
  readonly tablesBefore = signal<Tables | undefined>(undefined);
  readonly interrupts = signal<Interrupts | undefined>(undefined);
  /** The timeline's moves (changes of a slot's state), and how many it has missed. */
  readonly moves = signal<readonly ListedMove[]>([]);
  readonly missedMoves = signal(0);
  /** What the debugger holds, and its breakpoints. */
  readonly stops = signal<Stops | undefined>(undefined);
  /** By slot. Undefined until the first frame. */
  readonly slots: readonly Signal<SlotView | undefined>[] = Array.from({ length: SLOT_COUNT }, () =>
    signal<SlotView | undefined>(undefined),
  );
  /** How many vCPUs the VM has. */
  readonly vcpus = signal(0);
  readonly events = signal<readonly LoggedEvent[]>([]);
  /** The end of the VM, once it has ended. */
  readonly ended = signal<Ended | undefined>(undefined);
  /** For the latency plot. */
  readonly history = new LatencyHistory();
  /** Called with the guest's output. `undefined`: a new connection, whose history follows. */
  onConsole: (bytes: Uint8Array | undefined) => void = () => undefined;

  readonly #connection: Connection;
  readonly #calls: Calls;
  readonly #list = new MoveList();
  /**
   * Frames of slots (slot-frame.ts) that are not drawn yet. At most one is drawn at a screen
   * refresh.
   */
  #frames: Uint8Array[] = [];
  /** Runs while the list has moves that are not shown yet. */
  #movesTimer: ReturnType<typeof setTimeout> | undefined;
  #eventKey = 0;
  /** The last `watch` message, for a reconnection. */
  #watch: Watched = { slots: false, tables: false, moves: null, interrupts: false };

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

  /** Sets what the server sends from now on, also after a reconnection. */
  watch(watched: Watched): void {
    const { moves } = watched;
    const isChanged = JSON.stringify(moves) !== JSON.stringify(this.#watch.moves);
    // Moves of another filter would not fit together. A paused list stays for the user to read.
    if (isChanged && moves !== null && !this.#list.isPaused) this.#clearMoves();
    this.#watch = watched;
    this.#connection.send({ kind: 'watch', ...this.#watch });
  }

  /**
   * Stops the timeline's list, or lets it go on. A caller that pauses also calls `watch` without
   * moves, so that the server sends none. The pause keeps what is listed: without it the list would
   * be cleared when moves are watched again.
   */
  pauseMoves(isPaused: boolean): void {
    this.#list.isPaused = isPaused;
  }

  /** Types text into the guest's console. */
  type(text: string): void {
    for (const piece of typedPieces(text)) this.#connection.send({ kind: 'type', text: piece });
  }

  /** Sends a message and returns its reply. */
  call(call: Call): Promise<Reply> {
    return this.#calls.call(call);
  }

  /** Sends a message that has no result. An error goes to the list of events. */
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
      case 'interrupts':
        this.interrupts.value = message;
        return;
      case 'moves':
        // Moves that were sent before the filter was changed are ignored.
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
      // Keep at most as many frames as a message has: more wait only if the page was hidden or is
      // slow.
      this.#frames = withoutRepeats([...this.#frames, ...frames].slice(-FRAMES_PER_MESSAGE));
    }
  }

  /** Draws the next frame, and requests a screen refresh for the one after it. */
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

  /**
   * Sets the signal of a slot. If the slot's bytes have not changed, it keeps their array, so that
   * a component which shows them is not drawn again. The age of a slot without a vCPU is not
   * updated then.
   */
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
