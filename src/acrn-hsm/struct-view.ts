/**
 * StructView: reads and writes the fields of an ioctl's structure over its bytes, by the names and
 * offsets of a StructLayout (struct-layout.ts).
 *
 * Called by: the ioctls of this folder, conformance/ and fuzzing/; programs get an IoctlArgument.
 * All methods throw RangeError for a field or an index that the layout does not have.
 */

import type { Field, StructLayout } from './struct-layout.js';

/** Bytes of a field of each kind. */
const BYTES = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8 } as const;

export class StructView<Layout extends StructLayout> {
  readonly layout: Layout;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  /** Default: new bytes, all zero. Throws RangeError if `bytes` is shorter than the layout. */
  constructor(layout: Layout, bytes: Uint8Array<ArrayBuffer> = new Uint8Array(layout.bytes)) {
    this.layout = layout;
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, layout.bytes);
  }

  /** A field as a bigint, whatever its width. */
  big(name: keyof Layout['fields'] & string, index = 0): bigint {
    const { kind, at } = this.#locate(name, index);
    return kind === 'u64' ? this.#view.getBigUint64(at, true) : BigInt(this.number(name, index));
  }

  /** A field of up to 32 bits; of a u64 the low 32 bits. */
  number(name: keyof Layout['fields'] & string, index = 0): number {
    const { kind, at } = this.#locate(name, index);
    if (kind === 'u8') return this.#view.getUint8(at);
    if (kind === 'u16') return this.#view.getUint16(at, true);
    if (kind === 'i32') return this.#view.getInt32(at, true);
    return this.#view.getUint32(at, true);
  }

  /** Writes as many low bits of `value` as the field has. Returns this view. */
  set(name: keyof Layout['fields'] & string, value: number | bigint, index = 0): this {
    const { kind, at } = this.#locate(name, index);
    const big = BigInt(value);
    if (kind === 'u64') this.#view.setBigUint64(at, BigInt.asUintN(64, big), true);
    else if (kind === 'u8') this.#view.setUint8(at, Number(BigInt.asUintN(8, big)));
    else if (kind === 'u16') this.#view.setUint16(at, Number(BigInt.asUintN(16, big)), true);
    else this.#view.setUint32(at, Number(BigInt.asUintN(32, big)), true);
    return this;
  }

  /** Whether every element of the field is 0. */
  isZero(name: keyof Layout['fields'] & string): boolean {
    const count = this.#field(name).count;
    for (let i = 0; i < count; i++) if (this.big(name, i) !== 0n) return false;
    return true;
  }

  #locate(name: string, index: number): { kind: Field['kind']; at: number } {
    const { kind, offset, count } = this.#field(name);
    if (!(index >= 0 && index < count)) throw new RangeError(`${this.layout.name}.${name}[${index}]`);
    return { kind, at: offset + index * BYTES[kind] };
  }

  #field(name: string): Field {
    const field = this.layout.fields[name];
    if (field === undefined) throw new RangeError(`${this.layout.name} has no field ${name}`);
    return field;
  }
}
