/**
 * ByteRegisters: accesses of 2 and 4 bytes to a device of 8-bit registers.
 *
 * Called by: devices whose data sheet has 8-bit registers only. They implement `readByte` and
 * `writeByte`, and their `read` and `write` are one line each.
 * Callers must: answer for bytes past the last register as well, as an unconnected bus does (0xFF,
 * ignored).
 *
 * The ISA bus splits a wide access into 8-bit cycles at consecutive ports, lowest port first. Each
 * cycle has its own side effects.
 */

import { allOnes, type AccessSize } from './device.js';

export interface ByteRegisters {
  /** Returns 0 to 0xFF. */
  readByte(offset: number): number;
  /** `value`: 0 to 0xFF. */
  writeByte(offset: number, value: number): void;
}

/**
 * For a device's `read`: the bytes from `offset` on, each read by `readByte`. The byte at `offset`
 * is the lowest one of the value.
 */
export function readBytes(registers: ByteRegisters, offset: number, size: AccessSize): number {
  let value = registers.readByte(offset);
  for (let byte = 1; byte < size; byte++) value |= registers.readByte(offset + byte) << (8 * byte);
  return value >>> 0;
}

/**
 * For a device's `write`: passes the bytes of `value` to `writeByte`, lowest byte and offset first.
 */
export function writeBytes(registers: ByteRegisters, offset: number, size: AccessSize, value: number): void {
  for (let byte = 0; byte < size; byte++) registers.writeByte(offset + byte, (value >>> (8 * byte)) & 0xff);
}

/** Reads an 8-bit port. The other bytes of a wider access belong to the next ports, and float. */
export function readOnePort(offset: number, size: AccessSize, read: () => number): number {
  return offset === 0 ? ((allOnes(size) & ~0xff) | read()) >>> 0 : allOnes(size);
}
