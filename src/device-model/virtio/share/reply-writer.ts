/**
 * ReplyWriter: the answer to one request, in the room that the client has for it.
 *
 * Called by: share-session.ts, which makes it, and the operations, which add the fields.
 */

import { FolderError, type FileStatus } from '../../../host/shared-folder.js';
import { HEADER_BYTES, QidType } from './protocol.js';

/** Bytes that are allocated at first. Most answers are shorter. */
const USUAL_BYTES = 256;

export class ReplyWriter {
  readonly #capacity: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = HEADER_BYTES;

  /** `capacity`: bytes, at least the header's. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#bytes = new Uint8Array(Math.min(USUAL_BYTES, capacity));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes that can be added. */
  get room(): number {
    return this.#capacity - this.#length;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  /** Cut to 64 bits. */
  u64(value: bigint): this {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
    return this;
  }

  string(bytes: Uint8Array): this {
    this.u16(bytes.length);
    const start = this.#grow(bytes.length);
    this.#bytes.set(bytes, start);
    return this;
  }

  /**
   * Identifies a file: type[1] version[4] path[8]. The version comes from the time of the last
   * change and the size, so that it changes with the contents.
   */
  qid({ id, kind, modifiedNs, size }: FileStatus): this {
    const version = Number(BigInt.asUintN(32, modifiedNs ^ (size << 8n)));
    return this.u8(kind === 'other' ? QidType.file : QidType[kind])
      .u32(version)
      .u64(id);
  }

  /**
   * Adds a length of 32 bits and at most `count` bytes, which `fill` writes to `target`. It
   * resolves to their number. Until then no other field may be added.
   */
  async data(count: number, fill: (target: Uint8Array) => Promise<number>): Promise<void> {
    const lengthAt = this.#grow(4);
    const start = this.#grow(count);
    const length = await fill(this.#bytes.subarray(start, start + count));
    this.#view.setUint32(lengthAt, length, true);
    this.#length = start + length;
  }

  /** The message with its header. */
  finish(type: number, tag: number): Uint8Array<ArrayBuffer> {
    this.#view.setUint32(0, this.#length, true);
    this.#view.setUint8(4, type);
    this.#view.setUint16(5, tag, true);
    return this.#bytes.subarray(0, this.#length);
  }

  /**
   * Makes room for `count` bytes and returns their offset. Throws EMSGSIZE if the capacity is
   * exceeded. It may replace `#bytes` and `#view`.
   */
  #grow(count: number): number {
    const start = this.#length;
    if (count > this.#capacity - start) throw new FolderError('EMSGSIZE');
    this.#length = start + count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.min(this.#capacity, Math.max(this.#length, 2 * this.#bytes.length)));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return start;
  }
}
