/**
 * UartReceiver: the receiving half of a PC16550D: its FIFO with trigger level, character timeout
 * and line errors.
 *
 * Called by: Uart16550, which decodes the registers and decides about interrupts.
 *
 * The terminal never overruns it: characters wait in a queue and enter the FIFO as the guest makes
 * room, so pasted text arrives completely. Only in loopback, where the guest is the sender, can it
 * overrun.
 */

import { finiteOrNull, SavedState } from '../../io-request/saved-state.js';
import type { Clock, ClockTimer } from '../clock.js';
import { CharacterFifo } from './character-fifo.js';
import { FIFO_DEPTH, LineStatus } from './uart16550-registers.js';

/**
 * Characters of the terminal that may wait for the guest: a long pasted text. Further ones are
 * refused.
 */
export const INPUT_QUEUE_CHARACTERS = 64 * 1024;

/**
 * A FIFO below its trigger level raises the timeout interrupt after this many idle character times.
 */
const TIMEOUT_CHARACTERS = 4;

/** The receiver's interface to the UART around it. */
export interface UartReceiverContext {
  /** Duration of one character on the line in ms, as the guest has programmed it. */
  characterMs(): number;
  /** Called when the timeout fires, outside any access. */
  timedOut(): void;
  /** Called after `receive` refused bytes, when half of the queue is free again. */
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
  /** RBR keeps its character after a read. */
  #lastCharacter = 0;
  #errors = 0;
  #timeoutPending = false;
  /** The latest character or read, from which the timeout counts. */
  #silentFromMs = -Infinity;
  #timer: ClockTimer | undefined;
  /** When the timer fires: other registers may have changed since it was set. */
  #timerMs = 0;
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

  /** The errors that LSR shows in bits 1 to 4, LineStatus bits. */
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

  /**
   * Receives a break, which is a framing error as well: its stop bit is 0. Returns false if the
   * queue is full.
   */
  receiveBreak(): boolean {
    const taken = this.#queue.push((LineStatus.BREAK | LineStatus.FRAMING) << 8);
    this.#fill();
    return taken;
  }

  /**
   * Receives from the guest's own transmitter. A full FIFO drops the new character; without FIFO it
   * replaces the old one.
   */
  receiveLooped(character: number): void {
    if (this.#fifo.length >= this.#depth) {
      this.#errors |= LineStatus.OVERRUN;
      if (this.#fifoEnabled) return;
      this.#fifo.clear();
    }
    this.#fifo.push(character);
    this.#awaitSilence();
  }

  /**
   * A read of RBR: removes and returns the oldest character of the FIFO, or repeats the last one.
   */
  read(): number {
    const character = this.#fifo.shift();
    if (character === undefined) return this.#lastCharacter;
    this.#lastCharacter = character & 0xff;
    this.#timeoutPending = false;
    this.#fill();
    if (this.#belowTrigger) this.#awaitSilence();
    return this.#lastCharacter;
  }

  /** The value that `read` would return. */
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

  /** What `takeLineStatus` would return, without clearing the errors. */
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
    // Characters below a raised trigger level are left to the timeout.
    if (this.#belowTrigger && !this.#timeoutPending) this.#reportSilence();
    this.#fill();
  }

  /** Drops the FIFO's characters, as on the chip. The terminal's next characters follow at once. */
  clear(): void {
    this.#fifo.clear();
    this.#timeoutPending = false;
    this.#fill();
  }

  /**
   * Starts or stops receiving from the line. It is stopped in loopback, and while flow control
   * stops the terminal.
   */
  listen(listening: boolean): void {
    this.#listening = listening;
    this.#fill();
  }

  /** Drops the queue as well: it was typed for the system that was reset. */
  reset(): void {
    this.close();
    this.#queue.clear();
    this.#fifo.clear();
    this.#fifoEnabled = false;
    this.#trigger = 1;
    this.#lastCharacter = 0;
    this.#errors = 0;
    this.#timeoutPending = false;
    this.#silentFromMs = -Infinity;
    this.#fill();
  }

  save(): unknown {
    return {
      queue: this.#queue.save(),
      fifo: this.#fifo.save(),
      fifoEnabled: this.#fifoEnabled,
      trigger: this.#trigger,
      lastCharacter: this.#lastCharacter,
      errors: this.#errors,
      timeoutPending: this.#timeoutPending,
      silentFromMs: finiteOrNull(this.#silentFromMs),
      timerMs: this.#timer === undefined ? null : this.#timerMs,
    };
  }

  /** Whether it listens follows from registers that the UART has, and from flow control. */
  restore(state: unknown, listening: boolean): void {
    const from = new SavedState('uart receiver', state);
    this.close();
    this.#queue.restore(from, 'queue');
    this.#fifo.restore(from, 'fifo');
    this.#fifoEnabled = from.boolean('fifoEnabled');
    this.#trigger = from.integer('trigger', 1, FIFO_DEPTH);
    this.#lastCharacter = from.byte('lastCharacter');
    this.#errors = from.byte('errors');
    this.#timeoutPending = from.boolean('timeoutPending');
    this.#silentFromMs = from.numberOr('silentFromMs', -Infinity);
    const timerMs = from.numberOr('timerMs', undefined);
    if (timerMs !== undefined) this.#setTimer(timerMs);
    this.listen(listening);
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

  /**
   * Moves characters from the queue into the chip while there is room. LSR shows the errors of the
   * oldest one.
   */
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
   * A character of the terminal that leaves the FIFO below its trigger level is reported without
   * the idle time: the terminal has nothing more to send, or it would be in the FIFO already.
   */
  #accept(character: number): void {
    this.#fifo.push(character);
    this.#silentFromMs = -Infinity;
    this.#timeoutPending = this.#belowTrigger;
  }

  /**
   * The guest has read a part of the FIFO, or sent itself a character. The timeout interrupt comes
   * after four character times, as on the chip. An immediate one would be wasted on a guest that is
   * about to read, or send, the rest anyway.
   */
  #awaitSilence(): void {
    this.#silentFromMs = this.#clock.now();
    this.#setTimer(this.#silenceEndMs);
  }

  /** A timer that is set already stays. */
  #setTimer(atMs: number): void {
    if (this.#timer !== undefined) return;
    this.#timerMs = atMs;
    this.#timer = this.#clock.schedule(atMs, () => this.#endSilence());
  }

  #endSilence(): void {
    this.#timer = undefined;
    if (!this.#belowTrigger || this.#timeoutPending) return;
    if (this.#reportSilence()) this.#context.timedOut();
  }

  /**
   * Makes the timeout pending if the idle time is over, and returns whether it is. If the guest has
   * read again since the timer was set, the timer waits for the rest of it.
   */
  #reportSilence(): boolean {
    const endMs = this.#silenceEndMs;
    const isOver = this.#clock.now() >= endMs;
    if (isOver) this.#timeoutPending = true;
    else this.#setTimer(endMs);
    return isOver;
  }

  get #silenceEndMs(): number {
    return this.#silentFromMs + TIMEOUT_CHARACTERS * this.#context.characterMs();
  }
}
