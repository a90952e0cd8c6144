/**
 * readFields: decodes the fields of a request by their names and types. A request has to have
 * exactly its fields: a length that points behind its end is refused before anything is done.
 *
 * Called by: share-session.ts, and the operations, whose field lists it types.
 */

import { FolderError } from '../../../host/shared-folder.js';
import { HEADER_BYTES, MAX_WALK_NAMES } from './protocol.js';

/** By the names that field lists use. */
export interface FieldTypes {
  readonly u8: number;
  readonly u16: number;
  readonly u32: number;
  readonly u64: bigint;
  /** A length of 16 bits, then bytes of any kind. Not copied. */
  readonly string: Uint8Array;
  /** A count of 16 bits, then strings. */
  readonly names: readonly Uint8Array[];
  /** A length of 32 bits, then bytes. Not copied. */
  readonly data: Uint8Array;
}

export type FieldList = Readonly<Record<string, keyof FieldTypes>>;
export type Fields<List extends FieldList> = { readonly [Name in keyof List]: FieldTypes[List[Name]] };

/** `request`: a whole message. Throws EPROTO unless it has these fields and nothing behind them. */
export function readFields<List extends FieldList>(list: List, request: Uint8Array<ArrayBuffer>): Fields<List> {
  const reader = new FieldReader(request);
  const fields: Record<string, unknown> = {};
  for (const [name, type] of Object.entries(list)) fields[name] = reader[type]();
  reader.end();
  return fields as Fields<List>;
}

class FieldReader implements Record<keyof FieldTypes, () => unknown> {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #offset = HEADER_BYTES;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  string(): Uint8Array {
    return this.#take(this.u16());
  }

  names(): readonly Uint8Array[] {
    const count = this.u16();
    if (count > MAX_WALK_NAMES) throw new FolderError('EPROTO', `${count} names`);
    return Array.from({ length: count }, () => this.string());
  }

  data(): Uint8Array {
    return this.#take(this.u32());
  }

  end(): void {
    const left = this.#bytes.length - this.#offset;
    if (left > 0) throw new FolderError('EPROTO', `${left} bytes too many`);
  }

  #take(length: number): Uint8Array<ArrayBuffer> {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Returns the offset of the next `length` bytes, which there are. */
  #advance(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) throw new FolderError('EPROTO', 'the message ends too early');
    this.#offset = start + length;
    return start;
  }
}
