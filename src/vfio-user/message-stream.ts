/**
 * MessageStream: cuts the bytes of a client into messages of vfio-user.
 *
 * Called by: VfioUserSession. Callers must close the client's connection after a ProtocolError: the
 * bounds of its messages are lost.
 */

import { Errno, HEADER_BYTES, HeaderFlag, MAX_DESCRIPTORS, MAX_MESSAGE_BYTES } from './protocol.js';

/** A message that ends the connection. `message`: a sentence part, such as "sent …". */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

export interface Message {
  readonly id: number;
  /** Any number of 16 bits. */
  readonly command: number;
  readonly isReply: boolean;
  readonly wantsNoReply: boolean;
  /** Of a reply: errno, or 0. */
  readonly error: number;
  /** What follows the header. Valid until the next `add`. */
  readonly payload: DataView<ArrayBuffer>;
  /** Its receiver must use or close them. */
  readonly descriptors: readonly number[];
}

const FIRST_CAPACITY = 0x1_0000;

export class MessageStream {
  #buffer = new Uint8Array(FIRST_CAPACITY);
  #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #end = 0;
  #descriptors: number[] = [];
  /** The message that the descriptors came with begins before this index of the buffer. */
  #descriptorsBefore = 0;

  /** Bytes that no complete message has. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Throws ProtocolError. The descriptors are then among those of `drop`. */
  add(bytes: Uint8Array, descriptors: readonly number[]): void {
    this.#descriptors.push(...descriptors);
    if (this.#descriptors.length > MAX_DESCRIPTORS) throw new ProtocolError('sent too many descriptors');
    this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
    if (descriptors.length > 0) this.#descriptorsBefore = this.#end;
  }

  /** The next complete message. Throws ProtocolError. */
  next(): Message | undefined {
    if (this.length < HEADER_BYTES) return undefined;
    const view = this.#view;
    const at = this.#start;
    const size = view.getUint32(at + 4, true);
    const flags = view.getUint32(at + 8, true);
    const type = flags & HeaderFlag.TYPE_MASK;
    if (type > HeaderFlag.REPLY) throw new ProtocolError(`sent a message of type ${type}`);
    const isReply = type === HeaderFlag.REPLY;
    if (size < HEADER_BYTES || size > MAX_MESSAGE_BYTES) throw new ProtocolError(`sent a message of ${size} bytes`);
    if (this.length < size) return undefined;
    this.#start += size;
    return {
      id: view.getUint16(at, true),
      command: view.getUint16(at + 2, true),
      isReply,
      wantsNoReply: (flags & HeaderFlag.NO_REPLY) !== 0,
      error: (flags & HeaderFlag.ERROR) === 0 ? 0 : view.getUint32(at + 12, true) || Errno.IO,
      payload: new DataView(view.buffer, at + HEADER_BYTES, size - HEADER_BYTES),
      descriptors: this.#takeDescriptors(),
    };
  }

  /** The descriptors of messages that are not complete, which the caller must close. */
  drop(): readonly number[] {
    return this.#descriptors.splice(0);
  }

  /**
   * A client sends each message at once, so that descriptors belong to the last message which
   * begins before the end of the bytes that they came with.
   */
  #takeDescriptors(): readonly number[] {
    if (this.#descriptors.length === 0) return [];
    return this.#start >= this.#descriptorsBefore ? this.#descriptors.splice(0) : [];
  }

  #makeRoom(bytes: number): void {
    const { length } = this;
    if (length === 0) this.#move(this.#buffer, 0);
    if (this.#end + bytes <= this.#buffer.length) return;
    const needed = length + bytes;
    // At most one message is incomplete, and a transport gives bounded parts.
    const capacity = Math.max(this.#buffer.length, 2 ** Math.ceil(Math.log2(needed)));
    this.#move(capacity > this.#buffer.length ? new Uint8Array(capacity) : this.#buffer, length);
  }

  /** Moves the last `length` bytes to the start of `to`. */
  #move(to: Uint8Array<ArrayBuffer>, length: number): void {
    if (length > 0) to.set(this.#buffer.subarray(this.#start, this.#end));
    this.#descriptorsBefore -= this.#start;
    this.#buffer = to;
    this.#view = new DataView(to.buffer);
    this.#start = 0;
    this.#end = length;
  }
}
