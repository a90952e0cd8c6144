/**
 * X86Assembler: the few instructions that the suite's guests need, as bytes of flat 32-bit code.
 * Opcodes: Intel SDM, volume 2. Instructions for 16 bits have the prefix 0x66.
 *
 * Called by: X86Guest (x86-guests.ts) and X86GuestInterrupts.
 */

import type { AccessSize } from '../../io-request/io-request.js';

const OPERAND_16 = 0x66;

export class X86Assembler {
  readonly #base: number;
  readonly #bytes: number[] = [];

  /** Code for address `base`. */
  constructor(base: number) {
    this.#base = base;
  }

  /** Address of the next instruction. */
  get here(): number {
    return this.#base + this.#bytes.length;
  }

  get bytes(): readonly number[] {
    return this.#bytes;
  }

  /** Bytes as they are, for instructions without a method. */
  emit(...bytes: readonly number[]): void {
    this.#bytes.push(...bytes);
  }

  /** 32 bits, low byte first. */
  word(value: number): void {
    this.emit(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff);
  }

  /** An instruction with one 32-bit operand (an address, a constant) behind its opcode. */
  emitWith(operand: number, ...opcode: readonly number[]): void {
    this.emit(...opcode);
    this.word(operand);
  }

  /**
   * The opcode of an instruction for operands of `size`: `byteOpcode` for 1 byte, otherwise the
   * next opcode, for 2 bytes with a prefix.
   */
  sized(size: AccessSize, byteOpcode: number): number[] {
    if (size === 1) return [byteOpcode];
    return size === 2 ? [OPERAND_16, byteOpcode + 1] : [byteOpcode + 1];
  }

  /**
   * Stores a constant at `address` that is known only later, such as the address of code that
   * follows. Returns a function that sets the constant.
   */
  storeLater(address: number): (value: number) => void {
    this.emitWith(address, 0xc7, 0x05); // mov dword [address], imm32
    const at = this.#bytes.length;
    this.word(0);
    return (value) => {
      for (let byte = 0; byte < 4; byte++) this.#bytes[at + byte] = (value >>> (8 * byte)) & 0xff;
    };
  }
}
