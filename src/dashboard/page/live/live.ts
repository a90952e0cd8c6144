/**
 * Live: all that the page knows of the VM, as signals: what a component reads in its render is what it is drawn again
 * for. Frames are taken at the browser's pace: one of the slots is decoded for each picture drawn.
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
  type VmNews,
  type Welcome,
} from '../../protocol.js';
import { LatencyHistory } from '../../view/latency-history.js';
import { MoveList, type ListedMove } from '../../view/move-list.js';
import { decodeSlotsFrame, isSameBytes, withoutRepeats, type SlotView } from '../../view/slots-frame.js';
import { Connection, type ConnectionState } from './connection.js';
import { listEveryMs, onNextFrame } from './pace.js';
import { Questions, type Answer, type Question } from './questions.js';

const MAX_NEWS = 100;

export interface News extends Omit<VmNews, 'kind'> {
  readonly key: number;
  readonly time: Date;
}

export class Live {
  readonly connection = signal<ConnectionState>('connecting');
  readonly welcome = signal<Welcome | undefined>(undefined);
  readonly clients = signal<readonly ClientDescription[]>([]);
  readonly tables = signal<Tables | undefined>(undefined);
  /** The one before, for the rates of what has only totals. */
  readonly tablesBefore = signal<Tables | undefined>(undefined);
  readonly moves = signal<readonly ListedMove[]>([]);
  readonly missedMoves = signal(0);
  readonly stops = signal<Stops | undefined>(undefined);
  readonly slots: readonly Signal<SlotView | undefined>[] = Array.from({ length: SLOT_COUNT }, () =>
    signal<SlotView | undefined>(undefined),
  );
  readonly vcpus = signal(0);
  readonly news = signal<readonly News[]>([]);
  readonly ended = signal<Ended | undefined>(undefined);
  readonly history = new LatencyHistory();
  /** Called with what the guest prints; `undefined`: it begins anew. */
  onConsole: (bytes: Uint8Array | undefined) => void = () => undefined;

  readonly #connection: Connection;
  readonly #questions: Questions;
  readonly #list = new MoveList();
  /** Still to be drawn. */
  #frames: Uint8Array[] = [];
  #movesTimer: ReturnType<typeof setTimeout> | undefined;
  #newsKey = 0;
  #watch = { slots: false, tables: false, moves: null as MoveFilterFields | null };

  constructor() {
    this.#connection = new Connection({
      onState: (state) => this.#onState(state),
      onMessage: (message) => batch(() => this.#hear(message)),
      onFrame: (frame) => this.#take(frame),
    });
    this.#questions = new Questions((message) => this.#connection.send(message));
  }

  open(): void {
    this.#connection.open();
  }

  /** What the page wants to see from now on; asked for again after each new connection. */
  watch(slots: boolean, tables: boolean, moves: MoveFilterFields | null): void {
    const isOther = JSON.stringify(moves) !== JSON.stringify(this.#watch.moves);
    if (isOther && moves !== null && !this.#list.isPaused) this.#clearMoves();
    this.#watch = { slots, tables, moves };
    this.#connection.send({ kind: 'watch', ...this.#watch });
  }

  pauseMoves(isPaused: boolean): void {
    this.#list.isPaused = isPaused;
  }

  /** For the guest. */
  type(text: string): void {
    for (let at = 0; at < text.length; at += MAX_TYPED_CHARACTERS)
      this.#connection.send({ kind: 'type', text: text.slice(at, at + MAX_TYPED_CHARACTERS) });
  }

  ask(question: Question): Promise<Answer> {
    return this.#questions.ask(question);
  }

  /** Asks for something to be done of which only a refusal is worth a line: it stands among the events. */
  async order(question: Question): Promise<void> {
    const answer = await this.ask(question);
    if (answer.kind === 'done' && answer.error !== undefined) this.#note('refused', answer.error);
  }

  #onState(state: ConnectionState): void {
    this.connection.value = state;
    if (state !== 'open' && state !== 'connecting') this.#questions.giveUp();
  }

  #hear(message: ServerMessage): void {
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
        // Asked for before the filter was changed.
        if (JSON.stringify(message.filter) !== JSON.stringify(this.#watch.moves)) return;
        this.#list.add(message.moves, message.lost);
        this.#movesTimer ??= setTimeout(() => this.#showMoves(), listEveryMs());
        return;
      case 'stops':
        this.stops.value = message;
        return;
      case 'registers':
      case 'done':
        this.#questions.hear(message);
        return;
      case 'event':
        this.#note(message.event, message.text);
        return;
      case 'ended':
        this.ended.value = message;
    }
  }

  #take(frame: ArrayBuffer): void {
    const kind = new Uint8Array(frame, 0, 1)[0];
    if (kind === FrameKind.CONSOLE) this.onConsole(new Uint8Array(frame, CONSOLE_HEADER_BYTES));
    else if (kind === FrameKind.SLOTS) {
      if (this.#frames.length === 0) onNextFrame(() => this.#draw());
      const bytes = new Uint8Array(frame);
      const frames = framesIn(bytes).map(({ start, end }) => bytes.subarray(start, end));
      // No more than one message has: older ones came while the page was not drawn.
      this.#frames = withoutRepeats([...this.#frames, ...frames].slice(-FRAMES_PER_MESSAGE));
    }
  }

  /** One frame each time: of those that came together each is a sixtieth of a second younger than the one before. */
  #draw(): void {
    const next = this.#frames.shift();
    if (this.#frames.length > 0) onNextFrame(() => this.#draw());
    const frame = next && decodeSlotsFrame(next);
    if (frame === undefined) return;
    batch(() => {
      this.vcpus.value = frame.vcpus;
      for (const slot of frame.slots) this.#takeSlot(slot, slot.vcpu < frame.vcpus);
    });
  }

  /** Keeps the array of unchanged bytes, so that a component which shows them is not drawn again. */
  #takeSlot(slot: SlotView, isUsed: boolean): void {
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

  #note(event: string, text: string): void {
    this.news.value = [...this.news.value, { event, text, key: this.#newsKey++, time: new Date() }].slice(-MAX_NEWS);
  }

  #clearMoves(): void {
    this.#list.clear();
    this.moves.value = [];
    this.missedMoves.value = 0;
  }
}
