/**
 * WebAssembly instructions as bytes, as far as the edits of the core need them.
 *
 * Unless a name says WIDE, operands are 32-bit integers. The comparisons, SHIFT_RIGHT and
 * LOAD_BYTE_UNSIGNED take or give unsigned ones (`_u`), EXTEND_8 and LOAD_BYTE_SIGNED signed ones
 * (`_s`).
 *
 * Called by: the *-edits.ts, segment-checks.ts and wasm-functions.ts.
 *
 * Source: WebAssembly Core Specification 2.0, chapter 5.4. Addresses are constants below 2^31.
 */

import { encodeU32 } from './wasm-sections.js';

const BULK_MEMORY = 0xfc;
const IF = 0x04;
const ELSE = 0x05;
const END = 0x0b;
const MEMORY_COPY = 10;
const EMPTY_BLOCK = 0x40;
const I32 = 0x7f;
// Alignments that loads and stores promise, as exponents of 2.
const ALIGN_1 = 0;
const ALIGN_4 = 2;
const LOAD_HALF_UNSIGNED = 0x2f;
const STORE = 0x36;

export const NOP = 0x01;
export const UNREACHABLE = 0x00;
export const RETURN = 0x0f;
export const ADD = 0x6a;
export const SUBTRACT = 0x6b;
export const AND = 0x71;
export const OR = 0x72;
export const XOR = 0x73;
export const EQUAL = 0x46;
/** ≥, <, > of unsigned numbers. */
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
export const LOCAL_TEE = 0x22;
export const CONSTANT = 0x41;
export const STORE_BYTE = 0x3a;
export const STORE_HALF = 0x3b;
// Of 64-bit integers.
export const WIDE_CONSTANT = 0x42;
export const WIDE_IS_ZERO = 0x50;
export const WIDE_EQUAL = 0x51;
export const WIDE_NOT_EQUAL = 0x52;
export const WIDE_AND = 0x83;
export const BRANCH_IF = 0x0d;

/** `i32.const`, with any value of 32 bits, signed or not. */
export function constant(value: number): number[] {
  const bytes: number[] = [CONSTANT];
  for (let rest = value | 0; ; rest >>= 7) {
    const low = rest & 0x7f;
    const isLast = rest >> 6 === 0 || rest >> 6 === -1;
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}

/** The value of a parameter or local variable. */
export function local(index: number): number[] {
  return [LOCAL_GET, ...encodeU32(index)];
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
  return [...constant(0), LOAD_HALF_UNSIGNED, ALIGN_1, ...encodeU32(address)];
}

/** Stores the one operand that `value` leaves as the word at a fixed address. */
export function storeWord(address: number, value: readonly number[]): number[] {
  return [...constant(0), ...value, STORE, ALIGN_4, ...encodeU32(address)];
}

/** Stores the low byte of the one operand that `value` leaves at a fixed address. */
export function storeByte(address: number, value: readonly number[]): number[] {
  return [...constant(0), ...value, STORE_BYTE, ALIGN_1, ...encodeU32(address)];
}

export function copyMemory(to: number, from: number, length: number): number[] {
  return [...constant(to), ...constant(from), ...constant(length), BULK_MEMORY, MEMORY_COPY, 0, 0];
}

/** A function's body for WasmFunctions.replaceBody: no locals but the parameters, then `code`. */
export function bodyOf(code: readonly number[]): Uint8Array {
  return Uint8Array.from([0, ...code, END]);
}

/** `then`, which leaves no operand, if `condition` is not 0. */
export function when(condition: readonly number[], then: readonly number[]): number[] {
  return [...condition, IF, EMPTY_BLOCK, ...then, END];
}

/**
 * Of two pieces of code, the one for a condition on the stack. `type` is their type, with operands
 * below the condition.
 */
export function either(type: number, ifTrue: readonly number[], ifFalse: readonly number[]): number[] {
  // A type is encoded as a signed number: constant's after its first byte.
  return [IF, ...constant(type).slice(1), ...ifTrue, ELSE, ...ifFalse, END];
}

/** One of two 32-bit values. Only the code of that one runs. */
export function select(condition: readonly number[], ifTrue: readonly number[], ifFalse: readonly number[]): number[] {
  return [...condition, IF, I32, ...ifTrue, ELSE, ...ifFalse, END];
}
