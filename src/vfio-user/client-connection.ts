/**
 * ClientConnection: the stream of one client with its session.
 *
 * Called by: CardServer. Threads: the Service VM's, on whose event loop bytes arrive. While
 * a card waits for the answer to its DMA, they are received where it waits.
 */

import { host } from '../host/current.js';
import type { DescriptorStream } from '../host/descriptor-streams.js';
import { ProtocolError } from './message-stream.js';
import type { ServedFunction } from './served-function.js';
import { VfioUserSession } from './session.js';
import { TurnBudget } from './turn-budget.js';

export interface ClientCounters {
  /** Commands of the client. */
  readonly messages: number;
  /** Those of them that were refused with an errno. */
  readonly refused: number;
  /** Interrupts that it was sent. */
  readonly interrupts: number;
}

export interface ClientConnectionOptions {
  readonly stream: DescriptorStream;
  readonly served: ServedFunction;
  /** In ms. */
  readonly now: () => number;
  /** Sends the interrupts of the pin that are due. */
  readonly deliverPin: () => void;
  /** Called at most once: it is a client, whose version is negotiated. */
  readonly onVersion: () => void;
  /** Called once. `reason`: a sentence part, if it did not just close its stream. */
  readonly onEnd: (reason: string | undefined) => void;
}

/** Parts that are received in one turn of the event loop. */
const PARTS_PER_TURN = 16;

export class ClientConnection {
  readonly session: VfioUserSession;
  readonly #options: ClientConnectionOptions;
  readonly #interruptsBefore: number;
  readonly #turn: TurnBudget;
  #isBegun = false;
  /** The time of a turn is over. The next one goes on with the messages that wait. */
  #isSuspended = false;
  #isEnded = false;

  constructor(options: ClientConnectionOptions) {
    const { stream, served } = options;
    this.#options = options;
    this.#interruptsBefore = served.irqs.sent;
    this.#turn = new TurnBudget(options.now);
    this.session = new VfioUserSession({
      served,
      send: (bytes) => stream.send(bytes),
      waitForMore: (limitMs) => {
        // A client may handle the interrupt before it serves memory.
        options.deliverPin();
        stream.wait(limitMs);
        return this.#receive() !== 'closed';
      },
      onVersion: options.onVersion,
      pumpLater: () => queueMicrotask(() => this.#guard(() => this.#pump())),
      now: options.now,
    });
  }

  get counters(): ClientCounters {
    return { ...this.session.counters, interrupts: this.#options.served.irqs.sent - this.#interruptsBefore };
  }

  /** The card is ready. Commands are handled from now on, with those that wait in the stream. */
  begin(): void {
    if (this.#isEnded) return;
    this.#isBegun = true;
    const { stream } = this.#options;
    stream.onReadable = () => this.#guard(() => this.#readable());
    stream.onReadable();
  }

  /** `reason`: a sentence part, such as "sent …". */
  end(reason?: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.session.close();
    this.#options.stream.close();
    this.#options.onEnd(reason);
  }

  #readable(): void {
    // Nothing is received before what waits is handled, or the client would seem to be far ahead.
    if (this.#isSuspended) return;
    this.#turn.begin();
    this.#receiveParts();
  }

  #resume(): void {
    this.#isSuspended = false;
    this.#turn.begin();
    if (this.#pump()) this.#receiveParts();
  }

  #receiveParts(): void {
    for (let part = 0; part < PARTS_PER_TURN; part++) {
      const received = this.#receive();
      if (received === 'closed') this.end();
      if (received === 'closed' || received === 'nothing') return;
      if (!this.#pump() || received === 'all') return;
    }
  }

  /** Returns false if this turn must receive nothing more. */
  #pump(): boolean {
    if (!this.#isBegun || this.#isEnded) return false;
    // The pin before commands that may unmask it, and after those that the card answers.
    this.#options.deliverPin();
    const isDone = this.session.pump(this.#turn);
    this.#options.deliverPin();
    if (this.session.isOver) this.end(this.session.problem);
    else if (!isDone && !this.#isSuspended) {
      this.#isSuspended = true;
      void host.turn().then(() => this.#guard(() => this.#resume()));
    }
    return !this.#isSuspended && !this.#isEnded;
  }

  /** `all`: what had arrived, as far as the stream knows. */
  #receive(): 'more' | 'all' | 'nothing' | 'closed' {
    const part = this.#options.stream.receive();
    if (part === undefined) return 'nothing';
    if (part === 'closed') return 'closed';
    this.session.add(part.bytes, part.descriptors);
    return part.mayHaveMore ? 'more' : 'all';
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.end(error.message);
    }
  }
}
