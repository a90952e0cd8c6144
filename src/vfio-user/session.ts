/**
 * VfioUserSession: the protocol with one client: bytes and descriptors in, bytes out. It knows no
 * socket, so that it can be fuzzed.
 *
 * Called by: ClientConnection passes on what arrives, then calls `pump`. The card's DMA waits for
 * the client (dma-transfers.ts).
 * Callers must: end the session if `add` or `pump` throws ProtocolError, or after `isOver`.
 * Threads: the Service VM's.
 *
 * The client is hostile. Each length, index and region is checked, commands that are unknown are
 * refused with an errno, and each queue has a limit (protocol.ts).
 *
 * Accesses go on side by side, each in a context of its own, as those of several vCPUs do. Behind a
 * write for which the client wants no reply, or has it already, all others wait.
 */

import { AccessReply, writeHeader } from './access-reply.js';
import { parseVersion, versionAnswer, type ClientVersion } from './capabilities.js';
import { DmaTransfers } from './dma-transfers.js';
import { MessageStream, ProtocolError, type Message } from './message-stream.js';
import { Bytes, Command, Errno, HEADER_BYTES, HeaderFlag, MAX_QUEUED_COMMANDS, MAX_DATA } from './protocol.js';
import type { ServedFunction } from './served-function.js';
import type { TurnBudget } from './turn-budget.js';

export interface SessionOptions {
  readonly served: ServedFunction;
  /** Returns false if the client is gone. The bytes are valid during the call. */
  readonly send: (bytes: Uint8Array) => boolean;
  /** Blocks until more was passed to `add`, at most `limitMs`. False: the client is gone. */
  readonly waitForMore: (limitMs: number) => boolean;
  /** The version is negotiated. */
  readonly onVersion: () => void;
  /** `pump` has to be called, on the event loop. */
  readonly pumpLater: () => void;
  /** For DMA_LIMIT_MS, in ms. */
  readonly now: () => number;
}

/** Bytes of commands ahead of the server. */
export const MAX_AHEAD_BYTES = 0x4_0000;
/** Most bytes of an access whose reply is kept for the next one. */
const SMALL_ACCESS = 8;

export class VfioUserSession {
  /** The card's access to the client's memory. */
  readonly dma: DmaTransfers;
  readonly #options: SessionOptions;
  readonly #served: ServedFunction;
  readonly #stream = new MessageStream();
  /** Commands that came ahead of the answer to a DMA. */
  readonly #queue: Message[] = [];
  /** Of small accesses, not in use. At most as many as there are contexts. */
  readonly #replies: AccessReply[] = [];
  #version: ClientVersion | undefined;
  #isPumping = false;
  #isOver = false;
  #problem: string | undefined;
  /** Writes without a reply that are not finished. */
  #posted = 0;
  #messages = 0;
  #refused = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#served = options.served;
    this.dma = new DmaTransfers({
      maxData: () => (this.#isOver ? 0 : (this.#version?.maxData ?? 0)),
      sendCommand: (id, command, payload) => this.#send(id, command, 0, 0, payload),
      receiveAhead: () => this.#receiveAhead(),
      waitForMore: (limitMs) => this.#waitForMore(limitMs),
      afterWait: () => this.#pumpSoon(),
      now: options.now,
    });
  }

  /** The client is gone, or does not read what it is sent. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What was wrong with its messages, as in ProtocolError. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Commands so far, and those that were refused with an errno. */
  get counters(): { readonly messages: number; readonly refused: number } {
    return { messages: this.#messages, refused: this.#refused };
  }

  /** What has arrived. Throws ProtocolError. */
  add(bytes: Uint8Array, descriptors: readonly number[]): void {
    this.dma.arrived();
    this.#stream.add(bytes, descriptors);
    if (!this.dma.isWaiting && this.#stream.length > MAX_AHEAD_BYTES)
      throw new ProtocolError('sent commands far ahead of their answers');
  }

  /** Handles commands. Returns false if some are left for the next turn. Throws ProtocolError. */
  pump(turn: TurnBudget): boolean {
    if (this.#isPumping || this.dma.isWaiting) return true;
    this.#isPumping = true;
    try {
      while (!this.#isOver && this.#served.hasRoom && this.#posted === 0) {
        if (this.#queue.length === 0 && this.#stream.length === 0) return true;
        if (!turn.hasTime()) return false;
        const message = this.#queue.shift() ?? this.#stream.next();
        if (message === undefined) return true;
        this.#receive(this.#post(message));
      }
      return true;
    } finally {
      this.#isPumping = false;
    }
  }

  /** Ends the session: closes what came with messages that are not handled. */
  close(): void {
    this.#isOver = true;
    for (const descriptor of this.#stream.drop()) this.#served.closeDescriptor(descriptor);
    for (const { descriptors } of this.#queue.splice(0))
      descriptors.forEach((one) => this.#served.closeDescriptor(one));
  }

  /** While a card waits: takes answers, and keeps commands for later. */
  #receiveAhead(): void {
    this.#attempt(() => {
      while (this.dma.isWaiting) {
        const message = this.#stream.next();
        if (message === undefined) return true;
        if (message.isReply) this.#answered(message);
        else this.#keep(message);
      }
      return true;
    });
  }

  /** Handles at once what calls no card. */
  #keep(received: Message): void {
    const { command } = received;
    if (command !== Command.REGION_READ && command !== Command.REGION_WRITE && command !== Command.RESET) {
      this.#receive(received);
      return;
    }
    const message = this.#post(received);
    const { buffer, byteOffset, byteLength } = message.payload;
    this.#queue.push({ ...message, payload: new DataView(buffer.slice(byteOffset, byteOffset + byteLength)) });
    if (this.#queue.length > MAX_QUEUED_COMMANDS) throw new ProtocolError('sent commands and no answer');
  }

  /**
   * Answers a write before the card has it, if the card may do DMA by messages meanwhile: a client
   * that waits for the answer would answer no message (ServedFunction.isPosted).
   */
  #post(message: Message): Message {
    const { command, isReply, payload, wantsNoReply } = message;
    if (isReply || command !== Command.REGION_WRITE || wantsNoReply) return message;
    if (payload.byteLength <= Bytes.TRANSFER) return message;
    const length = payload.byteLength - Bytes.TRANSFER;
    if (payload.getUint32(12, true) !== length || length > MAX_DATA) return message;
    if (!this.#served.isPosted(payload.getUint32(8, true), payload.getBigUint64(0, true), length)) return message;
    this.#reply(message, new Uint8Array(payload.buffer.slice(payload.byteOffset, payload.byteOffset + Bytes.TRANSFER)));
    return { ...message, wantsNoReply: true };
  }

  #answered(message: Message): void {
    message.descriptors.forEach((one) => this.#served.closeDescriptor(one));
    this.dma.answered(message);
  }

  #receive(message: Message): void {
    if (message.isReply) {
      this.#answered(message);
      return;
    }
    this.#messages++;
    const unused = message.descriptors.length === 0 ? NONE : new Set(message.descriptors);
    const isKnown = this.#version !== undefined || message.command === Command.VERSION;
    const result = isKnown ? this.#handle(message, unused) : Errno.INVALID;
    for (const descriptor of unused) this.#served.closeDescriptor(descriptor);
    if (result === LATER) return;
    this.#reply(message, result);
    // There is no language to speak with a client of another version.
    if (message.command === Command.VERSION && typeof result === 'number')
      throw new ProtocolError('is of another version');
  }

  /** Returns the payload of the reply, or an errno. Removes from `unused` what it keeps. */
  #handle({ id, command, payload, wantsNoReply }: Message, unused: Set<number>): Uint8Array | Errno | typeof LATER {
    switch (command) {
      case Command.VERSION:
        return this.#negotiate(payload);
      case Command.DMA_MAP:
        return this.#served.mapMemory(payload, unused);
      case Command.DMA_UNMAP:
        return this.#served.unmapMemory(payload);
      case Command.GET_INFO:
        return this.#served.deviceInfo(payload);
      case Command.GET_REGION_INFO:
        return this.#served.regionInfo(payload);
      case Command.GET_IRQ_INFO:
        return this.#served.irqInfo(payload);
      case Command.SET_IRQS:
        return this.#served.setIrqs(payload, unused);
      case Command.RESET:
        this.#served.reset();
        return EMPTY;
      case Command.REGION_READ:
      case Command.REGION_WRITE:
        return this.#access(id, command, payload, wantsNoReply);
      default:
        return Errno.NOTSUP;
    }
  }

  #negotiate(payload: DataView<ArrayBuffer>): Uint8Array | Errno {
    if (this.#version !== undefined) return Errno.INVALID;
    this.#version = parseVersion(payload);
    if (this.#version !== undefined) this.#options.onVersion();
    return this.#version === undefined ? Errno.INVALID : versionAnswer(this.#version);
  }

  #access(id: number, command: number, payload: DataView<ArrayBuffer>, isPosted: boolean): Errno | typeof LATER {
    const isWrite = command === Command.REGION_WRITE;
    if (payload.byteLength < Bytes.TRANSFER) return Errno.INVALID;
    const offset = payload.getBigUint64(0, true);
    const region = payload.getUint32(8, true);
    const count = payload.getUint32(12, true);
    if (count > MAX_DATA || payload.byteLength !== Bytes.TRANSFER + (isWrite ? count : 0)) return Errno.INVALID;
    const isSmall = count <= SMALL_ACCESS;
    const reply = (isSmall ? this.#replies.pop() : undefined) ?? new AccessReply(Math.max(count, SMALL_ACCESS));
    const data = reply.begin(payload, count, isWrite);
    if (isPosted) this.#posted++;
    const result = this.#served.access(region, offset, data, isWrite, (isDone) => {
      if (isPosted) this.#posted--;
      if (!this.#isOver) {
        if (!isDone) this.#reply({ id, command, wantsNoReply: isPosted }, Errno.IO);
        else if (!isPosted) this.#sendBytes(reply.finish(id, command, isWrite ? 0 : count));
      }
      if (isSmall) this.#replies.push(reply);
      this.#pumpSoon();
    });
    if (result === 0) return LATER;
    if (isPosted) this.#posted--;
    return result;
  }

  #waitForMore(limitMs: number): boolean {
    if (!this.#isOver && !this.#attempt(() => this.#options.waitForMore(limitMs))) this.#isOver = true;
    return !this.#isOver;
  }

  /** Where a card waits, a broken stream must not end the card's call. The owner sees `isOver`. */
  #attempt(act: () => boolean): boolean {
    try {
      return act();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#isOver = true;
      this.#problem = error.message;
      return false;
    }
  }

  /** Commands may wait that arrived meanwhile. */
  #pumpSoon(): void {
    if (!this.#isPumping) this.#options.pumpLater();
  }

  #reply(to: Pick<Message, 'id' | 'command' | 'wantsNoReply'>, result: Uint8Array | Errno): void {
    const error = typeof result === 'number' ? result : 0;
    if (error !== 0) this.#refused++;
    if (to.wantsNoReply) return;
    const flags = HeaderFlag.REPLY | (error === 0 ? 0 : HeaderFlag.ERROR);
    this.#send(to.id, to.command, flags, error, typeof result === 'number' ? EMPTY : result);
  }

  #send(id: number, command: number, flags: number, error: number, payload: Uint8Array): boolean {
    const message = new Uint8Array(HEADER_BYTES + payload.length);
    writeHeader(new DataView(message.buffer), { id, command, length: message.length, flags, error });
    message.set(payload, HEADER_BYTES);
    return this.#sendBytes(message);
  }

  #sendBytes(message: Uint8Array): boolean {
    if (!this.#options.send(message)) this.#isOver = true;
    return !this.#isOver;
  }
}

/** The reply follows when the access is finished. */
const LATER = Symbol('later');
const EMPTY = new Uint8Array();
const NONE = new Set<number>();
