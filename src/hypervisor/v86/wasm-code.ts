/**
 * WebAssembly instructions as bytes, as far as the edits of the core need them.
 *
 * All operands are 32-bit integers. The comparisons, SHIFT_RIGHT and LOAD_BYTE_UNSIGNED take or
 * give unsigned ones (`_u`), EXTEND_8 and LOAD_BYTE_SIGNED signed ones (`_s`).
 *
 * Source: WebAssembly Core Specification 2.0, chapter 5.4. Addresses are constants below 2^31.
 */

import { encodeU32 } from './wasm-sections.js';

const BULK_MEMORY = 0xfc;
const MEMORY_COPY = 10;
const EMPTY_BLOCK = 0x40;
const I32 = 0x7f;
const ALIGN_1 = 0;
const ALIGN_4 = 2;

export const NOP = 0x01;
export const UNREACHABLE = 0x00;
export const RETURN = 0x0f;
export const ADD = 0x6a;
export const SUBTRACT = 0x6b;
export const AND = 0x71;
export const OR = 0x72;
export const XOR = 0x73;
export const EQUAL = 0x46;
export const AT_LEAST = 0x4f;
export const BELOW = 0x49;
export const ABOVE = 0x4b;
export const NOT_EQUAL = 0x47;
export const IS_ZERO = 0x45;
export const SHIFT_RIGHT = 0x76;
export const SHIFT_LEFT = 0x74;
export const EXTEND_8 = 0xc0;
export const LOAD_BYTE_UNSIGNED = 0x2d;
export const LOAD_BYTE_SIGNED = 0x2c;
export const LOAD = 0x28;
export const CALL = 0x10;
export const LOCAL_GET = 0x20;
export const LOCAL_SET = 0x21;

export function constant(value: number): number[] {
  const bytes: number[] = [0x41];
  for (let rest = value | 0; ; rest >>= 7) {
    const low = rest & 0x7f;
    const isLast = rest >> 6 === 0 || rest >> 6 === -1;
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}

export function local(index: number): number[] {
  return [0x20, ...encodeU32(index)];
}

export function call(index: number): number[] {
  return [CALL, ...encodeU32(index)];
}

/** A call as the linker writes it, with the index in five bytes. */
export function paddedCall(index: number): number[] {
  return [CALL, ...padded(index)];
}

/** A number as the linker writes an index or an address: in five bytes. */
export function padded(value: number): number[] {
  return [0, 7, 14, 21, 28].map((shift) => ((value >>> shift) & 0x7f) | (shift < 28 ? 0x80 : 0));
}

/** The 32-bit word at a fixed address. */
export function loadWord(address: number): number[] {
  return [...constant(0), LOAD, ALIGN_4, ...encodeU32(address)];
}

/** The 32-bit word at what `address` leaves, plus `offset`. */
export function loadAt(address: readonly number[], offset: number): number[] {
  return [...address, LOAD, ALIGN_4, ...encodeU32(offset)];
}

/** The byte at a fixed address. */
export function loadByte(address: number): number[] {
  return [...constant(0), LOAD_BYTE_UNSIGNED, ALIGN_1, ...encodeU32(address)];
}

/** The 16-bit word at a fixed address. */
export function loadHalf(address: number): number[] {
  return [...constant(0), 0x2f, ALIGN_1, ...encodeU32(address)];
}

/** Stores the one operand that `value` leaves as the word at a fixed address. */
export function storeWord(address: number, value: readonly number[]): number[] {
  return [...constant(0), ...value, 0x36, ALIGN_4, ...encodeU32(address)];
}

/** Stores the low byte of the one operand that `value` leaves. */
export function storeByte(address: number, value: readonly number[]): number[] {
  return [...constant(0), ...value, 0x3a, ALIGN_1, ...encodeU32(address)];
}

export function copyMemory(to: number, from: number, length: number): number[] {
  return [...constant(to), ...constant(from), ...constant(length), BULK_MEMORY, MEMORY_COPY, 0, 0];
}

export function when(condition: readonly number[], then: readonly number[]): number[] {
  return [...condition, 0x04, EMPTY_BLOCK, ...then, 0x0b];
}

/**
 * Of two pieces of code, the one for a condition on the stack. `type` is their type, with operands
 * below the condition.
 */
export function either(type: number, ifTrue: readonly number[], ifFalse: readonly number[]): number[] {
  // A type is encoded as a signed number: constant's after its first byte.
  return [0x04, ...constant(type).slice(1), ...ifTrue, 0x05, ...ifFalse, 0x0b];
}

/** One of two 32-bit values. Only the code of that one runs. */
export function select(condition: readonly number[], ifTrue: readonly number[], ifFalse: readonly number[]): number[] {
  return [...condition, 0x04, I32, ...ifTrue, 0x05, ...ifFalse, 0x0b];
}
