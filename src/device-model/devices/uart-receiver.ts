/**
 * UartReceiver: the receiving half of a PC16550D: its FIFO with trigger level, character timeout and line errors.
 * Part of Uart16550, which decodes the registers and decides about interrupts.
 *
 * The terminal never overruns it: characters wait in a queue and enter the FIFO as the guest makes room, so pasted text
 * arrives whole. Only the loopback, where the guest itself is the sender, can overrun.
 */

import type { Clock, ClockTimer } from '../clock.js';
import { CharacterFifo } from './character-fifo.js';
import { FIFO_DEPTH, LineStatus } from './uart16550-registers.js';

/** Characters of the terminal that may wait for the guest; what comes on top is refused. */
export const INPUT_QUEUE_CHARACTERS = 64 * 1024;

/** A FIFO below its trigger level reports after this many character times of silence. */
const TIMEOUT_CHARACTERS = 4;

/** What the receiver needs of the UART around it. */
export interface UartReceiverContext {
  /** How long one character takes on the line, as the guest has programmed it. */
  characterMs(): number;
  /** The timeout came by itself, outside any access. */
  timedOut(): void;
  /** After something was refused: half of the queue is free again. */
  inputRoom(): void;
}

export class UartReceiver {
  readonly #clock: Clock;
  readonly #context: UartReceiverContext;
  readonly #queue = new CharacterFifo(INPUT_QUEUE_CHARACTERS);
  readonly #fifo = new CharacterFifo(FIFO_DEPTH);
  #fifoEnabled = false;
  #trigger = 1;
  #listening = true;
  /** RBR keeps its character after it was read. */
  #lastCharacter = 0;
  #errors = 0;
  #timeoutPending = false;
  #silentFromMs = 0;
  #timer: ClockTimer | undefined;
  #refused = false;

  constructor(clock: Clock, context: UartReceiverContext) {
    this.#clock = clock;
    this.#context = context;
  }

  get fifoEnabled(): boolean {
    return this.#fifoEnabled;
  }

  get atTrigger(): boolean {
    return this.#fifo.length >= this.#trigger;
  }

  get timeoutPending(): boolean {
    return this.#timeoutPending;
  }

  /** LSR bits 1 to 4. */
  get errors(): number {
    return this.#errors;
  }

  /** Returns how many bytes were taken. */
  receive(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#queue.room);
    for (let i = 0; i < taken; i++) this.#queue.push(bytes[i] as number);
    if (taken < bytes.length) this.#refused = true;
    this.#fill();
    return taken;
  }

  /** A break is a word of zeros whose stop bit is zero too: a framing error as well. False when the queue is full. */
  receiveBreak(): boolean {
    const taken = this.#queue.push((LineStatus.BREAK | LineStatus.FRAMING) << 8);
    this.#fill();
    return taken;
  }

  /** From the guest's own transmitter. A full FIFO keeps what it has; without FIFO the newest character wins. */
  receiveLooped(character: number): void {
    if (this.#fifo.length >= this.#depth) {
      this.#errors |= LineStatus.OVERRUN;
      if (this.#fifoEnabled) return;
      this.#fifo.clear();
    }
    this.#accept(character);
  }

  /** RBR. */
  read(): number {
    const character = this.#fifo.shift();
    if (character === undefined) return this.#lastCharacter;
    this.#lastCharacter = character & 0xff;
    this.#timeoutPending = false;
    this.#fill();
    if (this.#belowTrigger) this.#awaitSilence();
    return this.#lastCharacter;
  }

  /** What `read` would give. */
  get nextCharacter(): number {
    const oldest = this.#fifo.oldest;
    return oldest === undefined ? this.#lastCharacter : oldest & 0xff;
  }

  /** The receiver's bits of LSR. Reading it clears the errors. */
  takeLineStatus(): number {
    const value = this.lineStatus;
    this.#errors = 0;
    return value;
  }

  /** The same, and nothing is cleared. */
  get lineStatus(): number {
    let value = this.#errors;
    if (this.#fifo.length > 0) value |= LineStatus.DATA_READY;
    const errorInFifo = this.#fifo.hasErrors || (this.#errors & ~LineStatus.OVERRUN) !== 0;
    if (this.#fifoEnabled && errorInFifo) value |= LineStatus.FIFO_ERROR;
    return value;
  }

  /** Switching the FIFO on or off clears it. */
  configure(fifoEnabled: boolean, trigger: number): void {
    if (fifoEnabled !== this.#fifoEnabled) this.clear();
    this.#fifoEnabled = fifoEnabled;
    this.#trigger = fifoEnabled ? trigger : 1;
    // A trigger raised above what waits leaves that to the timeout, whose silence is long over.
    if (this.#belowTrigger) this.#timeoutPending = true;
    this.#fill();
  }

  /** What is in the FIFO is lost, as on the chip; the terminal's next characters follow at once. */
  clear(): void {
    this.#fifo.clear();
    this.#timeoutPending = false;
    this.#fill();
  }

  /** Whether the chip hears the line: not in loopback, nor while flow control holds the terminal back. */
  listen(listening: boolean): void {
    this.#listening = listening;
    this.#fill();
  }

  /** Also forgets the queue: it was typed for the system that is gone. */
  reset(): void {
    this.close();
    this.#queue.clear();
    this.#fifo.clear();
    this.#fifoEnabled = false;
    this.#trigger = 1;
    this.#lastCharacter = 0;
    this.#errors = 0;
    this.#timeoutPending = false;
    this.#fill();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  get #depth(): number {
    return this.#fifoEnabled ? FIFO_DEPTH : 1;
  }

  get #belowTrigger(): boolean {
    return this.#fifo.length > 0 && this.#fifo.length < this.#trigger;
  }

  /** Characters enter the chip as far as there is room; the errors of the one that is now the oldest show in LSR. */
  #fill(): void {
    while (this.#listening && this.#fifo.length < this.#depth) {
      const character = this.#queue.shift();
      if (character === undefined) break;
      this.#accept(character);
    }
    this.#errors |= this.#fifo.takeErrors();
    if (this.#refused && this.#queue.room >= INPUT_QUEUE_CHARACTERS / 2) {
      this.#refused = false;
      this.#context.inputRoom();
    }
  }

  /**
   * A character that leaves the FIFO below its trigger is reported without waiting for silence: the terminal has nothing
   * more to send, or it would be here already.
   */
  #accept(character: number): void {
    this.#fifo.push(character);
    this.#timeoutPending = this.#belowTrigger;
  }

  /**
   * The guest read some and left some. It hears of the rest after four character times, as from the chip: an interrupt
   * at once would be wasted on every guest that is about to read the rest anyway.
   */
  #awaitSilence(): void {
    this.#silentFromMs = this.#clock.now();
    this.#timer ??= this.#clock.schedule(this.#silenceEndMs, () => this.#endSilence());
  }

  /** The guest may have read again since the timer was set: then the rest of the silence is still to come. */
  #endSilence(): void {
    this.#timer = undefined;
    if (!this.#belowTrigger || this.#timeoutPending) return;
    const endMs = this.#silenceEndMs;
    if (this.#clock.now() < endMs) {
      this.#timer = this.#clock.schedule(endMs, () => this.#endSilence());
      return;
    }
    this.#timeoutPending = true;
    this.#context.timedOut();
  }

  get #silenceEndMs(): number {
    return this.#silentFromMs + TIMEOUT_CHARACTERS * this.#context.characterMs();
  }
}
