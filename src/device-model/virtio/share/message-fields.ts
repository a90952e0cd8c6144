/**
 * readFields: decodes the fields of a request by a list of their names and types, in order. A
 * request must have exactly these fields. One with a length that reaches past its end is refused
 * before its operation runs.
 *
 * Called by: share-session.ts. operation.ts types the operations by its field lists.
 */

import { FolderError } from '../../../host/shared-folder.js';
import { HEADER_BYTES, MAX_WALK_NAMES } from './protocol.js';

/** The values of fields, by the names of types that field lists use. */
export interface FieldTypes {
  readonly u8: number;
  readonly u16: number;
  readonly u32: number;
  readonly u64: bigint;
  /** A length of 16 bits, then that number of arbitrary bytes. Not copied. */
  readonly string: Uint8Array;
  /** A count of 16 bits, then strings. */
  readonly names: readonly Uint8Array[];
  /** A length of 32 bits, then that number of bytes. Not copied. */
  readonly data: Uint8Array;
}

export type FieldList = Readonly<Record<string, keyof FieldTypes>>;
export type Fields<List extends FieldList> = { readonly [Name in keyof List]: FieldTypes[List[Name]] };

/**
 * `request`: a message with its header, which is skipped. Throws EPROTO unless exactly these fields
 * follow, and for more than MAX_WALK_NAMES names.
 */
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

  /**
   * Skips the next `length` bytes and returns their offset. Throws EPROTO if the message has fewer.
   */
  #advance(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) throw new FolderError('EPROTO', 'the message ends too early');
    this.#offset = start + length;
    return start;
  }
}
