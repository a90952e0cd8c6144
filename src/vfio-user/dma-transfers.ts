/**
 * DmaTransfers: a card's access to the client's memory by messages. The card waits for the answer
 * in its thread, which is the Service VM's.
 *
 * Called by: RegionMemory, through VfioUserSession, whose messages it sends.
 *
 * A card's DMA returns its bytes, so the wait blocks that thread and all that it serves. It is
 * bounded by DMA_LIMIT_MS, and a client that is stopped is waited for once: until something
 * arrives, the next accesses fail at once.
 */

import type { RemoteMemory } from '../hypervisor/region-memory.js';
import type { Message } from './message-stream.js';
import { Bytes, Command, DMA_LIMIT_MS } from './protocol.js';

/** The session's side. */
export interface DmaLink {
  /** Most bytes of data that the client takes in one message. 0: the client is not there. */
  maxData(): number;
  /** Returns false if the client is gone. */
  sendCommand(id: number, command: number, payload: Uint8Array): boolean;
  /** Takes what has arrived: calls `answered` for answers, and keeps commands. */
  receiveAhead(): void;
  /** Blocks until more has arrived, at most `limitMs`. Returns false if the client is gone. */
  waitForMore(limitMs: number): boolean;
  /** A card no longer waits. */
  afterWait(): void;
  readonly now: () => number;
}

export class DmaTransfers implements RemoteMemory {
  readonly #link: DmaLink;
  /** What the card waits for. */
  #awaited: { readonly id: number; readonly command: number; answer: Message | undefined } | undefined;
  #nextId = 0;
  /** A card has waited in vain, and nothing has arrived since. */
  #isSilent = false;

  constructor(link: DmaLink) {
    this.#link = link;
  }

  /** A card waits for an answer that has not arrived. */
  get isWaiting(): boolean {
    return this.#awaited !== undefined && this.#awaited.answer === undefined;
  }

  /** Something has arrived. */
  arrived(): void {
    this.#isSilent = false;
  }

  /** An answer. It is dropped if it is late, or not to any command. */
  answered(message: Message): void {
    const awaited = this.#awaited;
    if (awaited?.id === message.id && awaited.command === message.command) awaited.answer = message;
  }

  readRemote(address: number, target: Uint8Array): boolean {
    const endMs = this.#link.now() + DMA_LIMIT_MS;
    for (let at = 0; at < target.length;) {
      const length = Math.min(target.length - at, this.#link.maxData());
      const answer = this.#transfer(Command.DMA_READ, address + at, length, EMPTY, endMs);
      if (answer === undefined || answer.byteLength < Bytes.TRANSFER + length) return false;
      target.set(new Uint8Array(answer.buffer, answer.byteOffset + Bytes.TRANSFER, length), at);
      at += length;
    }
    return true;
  }

  writeRemote(address: number, source: Uint8Array): boolean {
    const endMs = this.#link.now() + DMA_LIMIT_MS;
    for (let at = 0; at < source.length;) {
      const part = source.subarray(at, at + this.#link.maxData());
      if (this.#transfer(Command.DMA_WRITE, address + at, part.length, part, endMs) === undefined) return false;
      at += part.length;
    }
    return true;
  }

  /** Returns the payload of the answer. Undefined if there is no good one. */
  #transfer(
    command: number,
    address: number,
    length: number,
    data: Uint8Array,
    endMs: number,
  ): DataView<ArrayBuffer> | undefined {
    const link = this.#link;
    // While a card waits, no other one is called.
    if (length === 0 || this.#isSilent || this.#awaited !== undefined) return undefined;
    const id = this.#nextId;
    this.#nextId = (id + 1) & 0xffff;
    const payload = new Uint8Array(Bytes.TRANSFER + data.length);
    const view = new DataView(payload.buffer);
    view.setBigUint64(0, BigInt(address), true);
    view.setBigUint64(8, BigInt(length), true);
    payload.set(data, Bytes.TRANSFER);
    const awaited = (this.#awaited = { id, command, answer: undefined as Message | undefined });
    try {
      if (!link.sendCommand(id, command, payload)) return undefined;
      for (;;) {
        link.receiveAhead();
        const { answer } = awaited;
        if (answer !== undefined) return answer.error === 0 ? answer.payload : undefined;
        const leftMs = endMs - link.now();
        this.#isSilent = leftMs <= 0;
        if (this.#isSilent || !link.waitForMore(leftMs)) return undefined;
      }
    } finally {
      this.#awaited = undefined;
      link.afterWait();
    }
  }
}

const EMPTY = new Uint8Array();
