/**
 * AccessReply: the message that answers an access, and until then the room for its data. A session
 * keeps those of small accesses and uses them again: an ArrayBuffer for each access would cost more
 * than the access.
 *
 * Called by: VfioUserSession. Callers must: let an access have it until its answer is sent.
 */

import { Bytes, HEADER_BYTES, HeaderFlag } from './protocol.js';

const DATA_START = HEADER_BYTES + Bytes.TRANSFER;

export class AccessReply {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;

  /** `capacity`: most bytes of data. */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(new ArrayBuffer(DATA_START + capacity));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Returns the `count` bytes of data: those that `payload` has to write, or room for a read. */
  begin(payload: DataView<ArrayBuffer>, count: number, isWrite: boolean): Uint8Array {
    for (let at = 0; at < Bytes.TRANSFER; at += 4)
      this.#view.setUint32(HEADER_BYTES + at, payload.getUint32(at, true), true);
    const data = this.#bytes.subarray(DATA_START, DATA_START + count);
    if (isWrite) for (let i = 0; i < count; i++) data[i] = payload.getUint8(Bytes.TRANSFER + i);
    else data.fill(0);
    return data;
  }

  /** The whole message, with the first `count` bytes of data. */
  finish(id: number, command: number, count: number): Uint8Array {
    const length = DATA_START + count;
    writeHeader(this.#view, { id, command, length, flags: HeaderFlag.REPLY, error: 0 });
    return this.#bytes.subarray(0, length);
  }
}

interface Header {
  readonly id: number;
  readonly command: number;
  /** Of the message. */
  readonly length: number;
  readonly flags: number;
  readonly error: number;
}

export function writeHeader(view: DataView, { id, command, length, flags, error }: Header): void {
  view.setUint16(0, id, true);
  view.setUint16(2, command, true);
  view.setUint32(4, length, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, error, true);
}
