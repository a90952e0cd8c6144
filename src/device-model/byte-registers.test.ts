import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readBytes, writeBytes } from './byte-registers.js';
import type { ByteRegisters } from './byte-registers.js';

/** Four registers that remember in which order they were touched. */
class FourRegisters implements ByteRegisters {
  readonly values = [0x11, 0x22, 0x33, 0xf4];
  readonly order: string[] = [];

  readByte(offset: number): number {
    this.order.push(`r${offset}`);
    return this.values[offset] ?? 0xff;
  }

  writeByte(offset: number, value: number): void {
    this.order.push(`w${offset}`);
    if (offset < 4) this.values[offset] = value;
  }
}

test('a read of one byte touches one register', () => {
  const registers = new FourRegisters();
  assert.equal(readBytes(registers, 3, 1), 0xf4);
  assert.deepEqual(registers.order, ['r3']);
});

test('a wide read takes consecutive registers, lowest first, into an unsigned value', () => {
  const registers = new FourRegisters();
  assert.equal(readBytes(registers, 0, 4), 0xf433_2211);
  assert.deepEqual(registers.order, ['r0', 'r1', 'r2', 'r3']);
  assert.equal(readBytes(registers, 1, 2), 0x3322);
});

test('a wide write reaches consecutive registers, lowest first', () => {
  const registers = new FourRegisters();
  writeBytes(registers, 0, 4, 0xdead_beef);
  assert.deepEqual(registers.values, [0xef, 0xbe, 0xad, 0xde]);
  assert.deepEqual(registers.order, ['w0', 'w1', 'w2', 'w3']);
});

test('bytes past the last register get what readByte returns there: all ones', () => {
  const registers = new FourRegisters();
  assert.equal(readBytes(registers, 3, 2), 0xfff4);
  writeBytes(registers, 3, 2, 0x5566);
  assert.deepEqual(registers.values, [0x11, 0x22, 0x33, 0x66]);
});
