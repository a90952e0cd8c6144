/**
 * Byte registers on a wider bus: how a device of 8-bit registers answers accesses of 2 and 4 bytes. The ISA bus splits
 * such an access into 8-bit cycles at consecutive ports, lowest port first, and each cycle has its side effects.
 *
 * For devices whose data sheet knows 8-bit registers only: they implement `readByte` and `writeByte`, and `read` and
 * `write` of the Device interface are one line each. A byte past the device's last register reaches `readByte` and
 * `writeByte` too: there the device answers as an unconnected bus does (0xFF; ignored).
 */

import type { AccessSize } from './device.js';

export interface ByteRegisters {
  /** 0…0xFF. */
  readByte(offset: number): number;
  /** `value` 0…0xFF. */
  writeByte(offset: number, value: number): void;
}

export function readBytes(registers: ByteRegisters, offset: number, size: AccessSize): number {
  let value = registers.readByte(offset);
  for (let byte = 1; byte < size; byte++) value |= registers.readByte(offset + byte) << (8 * byte);
  return value >>> 0;
}

export function writeBytes(registers: ByteRegisters, offset: number, size: AccessSize, value: number): void {
  for (let byte = 0; byte < size; byte++) registers.writeByte(offset + byte, (value >>> (8 * byte)) & 0xff);
}
