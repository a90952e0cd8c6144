/**
 * MachineProgram: encodes random instructions for the fuzz target "code", and counts how often each
 * byte of a device is accessed by them.
 *
 * Called by: machine-code.ts, which adds instructions, ends the program and plays it;
 * machine-bench.ts, for `countByte`.
 *
 * Example: in 16-bit code, a store of AX to device memory at 0xD0000000 is the bytes 67 89 05
 * followed by the address, and counts `W d0000000` and `W d0000001` once each. The counts do not
 * say how the bytes are split into requests, because processors may split an access that is not
 * aligned.
 *
 * Addresses are absolute: ModRM with a 32-bit displacement and no register. Values are whatever the
 * registers hold.
 *
 * Source: Intel SDM, volume 2. In 16-bit code the prefixes 0x66 and 0x67 select 32-bit operands and
 * addresses. In 32-bit code 0x66 selects 16-bit operands.
 */

import type { FuzzInput } from '../fuzz-input.js';
import { DATA_ADDRESS, physicalOf, type GuestMode } from './guest-modes.js';

/**
 * Accesses by byte. Keys are the kind of access and the address: `r 3f8` and `w 3f8` for a port,
 * `R d0000000` and `W d0000000` for device memory, by physical address.
 */
export type ByteCounts = ReadonlyMap<string, number>;

export interface EncodedProgram {
  readonly code: readonly number[];
  readonly expected: ByteCounts;
  /** The instructions for people, one each. */
  readonly text: readonly string[];
}

/** Without the ports that a hypervisor answers itself. */
const PORTS = [0x10, 0x3f, 0x60, 0x80, 0xff, 0x100, 0x3f8, 0x4cc, 0x500, 0x7700, 0xfff0, 0xfffc];
/** Repetitions of a string instruction. */
const MAX_REPEATS = 12;
/** Numbers of registers in instructions. */
const Register = { ECX: 1, EDX: 2, ESI: 6, EDI: 7 } as const;
// Prefixes.
const ADDRESS_SIZE = 0x67;
const OPERAND_SIZE = 0x66;
const REPEAT = 0xf3;
const LOCK = 0xf0;
const INC = 0xfe;
/** ModRM of [disp32] with register field `reg`. */
const absolute = (reg: number): number => (reg << 3) | 5;
/** Bit 0 of most opcodes: clear for an access of one byte. */
const widthBit = (size: Size): number => (size === 1 ? 0 : 1);

type Size = 1 | 2 | 4;

export class MachineProgram {
  readonly #code: number[] = [];
  readonly #expected = new Map<string, number>();
  readonly #text: string[] = [];
  readonly #is32Bit: boolean;

  constructor(is32Bit: boolean) {
    this.#is32Bit = is32Bit;
    // CR4.OSFXSR, for SSE: mov eax, cr4; or eax, 0x200; mov cr4, eax. Then cld and fninit.
    this.#put(0x0f, 0x20, 0xe0, ...(is32Bit ? [] : [OPERAND_SIZE]), 0x0d, ...imm32(0x200), 0x0f, 0x22, 0xe0);
    this.#put(0xfc, 0xdb, 0xe3);
  }

  /** Appends one instruction, with those that load its registers. */
  add(input: FuzzInput, mode: GuestMode): void {
    const kind = input.below(12);
    const size = input.pick([1, 2, 4] as const);
    if (kind < 3) this.#port(input, size);
    else if (kind === 3) this.#portString(input, mode, size);
    else if (kind < 6) this.#move(input, mode, size);
    else if (kind === 6) this.#change(input, mode, size);
    else if (kind < 9) this.#wide(input, mode);
    else if (kind < 11) this.#string(input, mode, size);
    else this.#exchange(input, mode, size);
  }

  /** Ends with cli; hlt, which the hypervisor reports. */
  end(): EncodedProgram {
    return { code: [...this.#code, 0xfa, 0xf4], expected: this.#expected, text: this.#text };
  }

  /** in and out, with the port in the instruction or in DX. */
  #port(input: FuzzInput, size: Size): void {
    const port = input.pick(PORTS);
    const isOut = input.below(2) === 1;
    const isImmediate = port <= 0xff && input.below(2) === 1;
    if (isImmediate) this.#put(...this.#operand(size), 0xe4 | (isOut ? 2 : 0) | widthBit(size), port);
    else {
      this.#loadRegister(Register.EDX, port);
      this.#put(...this.#operand(size), 0xec | (isOut ? 2 : 0) | widthBit(size));
    }
    this.#count(isOut ? 'w' : 'r', port, size);
    this.#note(`${isOut ? 'out' : 'in'} ${port.toString(16)}/${size}`);
  }

  /** ins and outs, between a port and RAM or device memory. */
  #portString(input: FuzzInput, mode: GuestMode, size: Size): void {
    const port = input.pick(PORTS);
    const isOut = input.below(2) === 1;
    const times = this.#times(input);
    const address = this.#address(input, mode, size * times);
    this.#loadRegister(Register.EDX, port);
    this.#loadRegister(isOut ? Register.ESI : Register.EDI, address);
    this.#repeated(times, [...this.#operand(size), (isOut ? 0x6e : 0x6c) | widthBit(size)]);
    for (let time = 0; time < times; time++) this.#count(isOut ? 'w' : 'r', port, size);
    this.#memory(mode, isOut ? 'R' : 'W', address, size * times);
    this.#note(`${times} ${isOut ? 'outs' : 'ins'} ${port.toString(16)}/${size} at ${address.toString(16)}`);
  }

  /** mov from and to memory. */
  #move(input: FuzzInput, mode: GuestMode, size: Size): void {
    const address = this.#address(input, mode, size);
    const isStore = input.below(2) === 1;
    const opcode = (isStore ? 0x88 : 0x8a) | widthBit(size);
    this.#put(...this.#prefixes(size), opcode, absolute(input.below(4)), ...imm32(address));
    this.#memory(mode, isStore ? 'W' : 'R', address, size);
    this.#note(`${isStore ? 'store' : 'load'} ${address.toString(16)}/${size}`);
  }

  /** add, or, and, sub, xor and inc of memory: one load and one store. */
  #change(input: FuzzInput, mode: GuestMode, size: Size): void {
    const address = this.#address(input, mode, size);
    const opcode = input.pick([0x00, 0x08, 0x20, 0x28, 0x30, INC]);
    const isLocked = input.below(2) === 1;
    // The register field of INC is a part of its opcode.
    const reg = opcode === INC ? 0 : input.below(4);
    this.#put(...(isLocked ? [LOCK] : []), ...this.#prefixes(size));
    this.#put(opcode | widthBit(size), absolute(reg), ...imm32(address));
    this.#memory(mode, 'R', address, size);
    this.#memory(mode, 'W', address, size);
    this.#note(`${isLocked ? 'lock ' : ''}${opcode.toString(16)} ${address.toString(16)}/${size}`);
  }

  /** xchg and xadd. */
  #exchange(input: FuzzInput, mode: GuestMode, size: Size): void {
    const address = this.#address(input, mode, size);
    const opcode = input.below(2) === 0 ? [0x86 | widthBit(size)] : [0x0f, 0xc0 | widthBit(size)];
    this.#put(...this.#prefixes(size), ...opcode, absolute(input.below(4)), ...imm32(address));
    this.#memory(mode, 'R', address, size);
    this.#memory(mode, 'W', address, size);
    this.#note(`xchg/xadd ${address.toString(16)}/${size}`);
  }

  /** 64 and 128 bits: movq, movups, fld and fstp. */
  #wide(input: FuzzInput, mode: GuestMode): void {
    const { name, bytes, isStore, opcode, reg } = input.pick(WIDE);
    const address = this.#address(input, mode, bytes);
    // An x87 store needs a value on the stack: fldz.
    if (name === 'fstp') this.#put(0xd9, 0xee);
    this.#put(...this.#addressSize(), ...opcode, absolute(reg), ...imm32(address));
    // fstp st(0): the x87 stack stays empty. emms: x87 instructions may follow those of MMX.
    if (name === 'fld') this.#put(0xdd, 0xd8);
    if (name === 'movq mm') this.#put(0x0f, 0x77);
    this.#memory(mode, isStore ? 'W' : 'R', address, bytes);
    this.#note(`${name} ${isStore ? 'store' : 'load'} ${address.toString(16)}/${bytes}`);
  }

  /** movs, stos and lods, repeated or not. */
  #string(input: FuzzInput, mode: GuestMode, size: Size): void {
    const times = this.#times(input);
    const { opcode, reads, writes } = input.pick(STRINGS);
    const from = this.#address(input, mode, size * times);
    const to = this.#address(input, mode, size * times);
    this.#loadRegister(Register.ESI, from);
    this.#loadRegister(Register.EDI, to);
    this.#repeated(times, [...this.#operand(size), opcode | widthBit(size)]);
    if (reads) this.#memory(mode, 'R', from, size * times);
    if (writes) this.#memory(mode, 'W', to, size * times);
    this.#note(`${times} of ${opcode.toString(16)}/${size} from ${from.toString(16)} to ${to.toString(16)}`);
  }

  /**
   * A linear address of `bytes` bytes in device memory, or in RAM once in eight times, often near
   * the end of a page. An access may run from one window into the next if that follows it directly,
   * as in paged mode. It never leaves the windows.
   */
  #address(input: FuzzInput, { windows }: GuestMode, bytes: number): number {
    const isInRam = input.below(8) === 0;
    const window = input.pick(windows);
    const near = input.below(2) === 0 ? 0x1000 - input.below(2 * bytes) : input.below(0x1000);
    const at = (isInRam ? DATA_ADDRESS : window.linear) + near;
    if (isInRam) return at;
    const last = windows.reduce((end, one) => (one.linear === end ? one.linear + one.bytes : end), window.linear);
    return Math.min(at, last - bytes);
  }

  /** How often a string instruction is repeated. 1: it has no prefix. */
  #times(input: FuzzInput): number {
    return input.below(2) === 0 ? 1 : 1 + input.below(MAX_REPEATS);
  }

  #repeated(times: number, instruction: readonly number[]): void {
    if (times > 1) this.#loadRegister(Register.ECX, times);
    this.#put(...this.#addressSize(), ...(times > 1 ? [REPEAT] : []), ...instruction);
  }

  /** mov register, imm32 */
  #loadRegister(register: number, value: number): void {
    this.#put(...(this.#is32Bit ? [] : [OPERAND_SIZE]), 0xb8 | register, ...imm32(value));
  }

  /** Prefixes of an instruction with a 32-bit address and operands of `size`. */
  #prefixes(size: Size): number[] {
    return [...this.#addressSize(), ...this.#operand(size)];
  }

  /** All addresses have 32 bits. */
  #addressSize(): number[] {
    return this.#is32Bit ? [] : [ADDRESS_SIZE];
  }

  /** The operand size prefix, if operands of `size` are not the default. */
  #operand(size: Size): number[] {
    return size !== 1 && this.#is32Bit === (size === 2) ? [OPERAND_SIZE] : [];
  }

  /** Counts an access of memory. RAM is not counted. */
  #memory(mode: GuestMode, kind: 'R' | 'W', linear: number, bytes: number): void {
    for (let at = linear; at < linear + bytes; at++) {
      const physical = physicalOf(mode, at);
      if (physical !== undefined) this.#count(kind, physical, 1);
    }
  }

  #count(kind: string, address: number, bytes: number): void {
    for (let byte = 0; byte < bytes; byte++) countByte(this.#expected, kind, address + byte);
  }

  #note(text: string): void {
    this.#text.push(text);
  }

  #put(...bytes: number[]): void {
    this.#code.push(...bytes);
  }
}

/** Counts one access of `kind` to a byte. */
export function countByte(counts: Map<string, number>, kind: string, address: number): void {
  const key = `${kind} ${address.toString(16)}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

interface WideInstruction {
  readonly name: string;
  readonly bytes: number;
  readonly isStore: boolean;
  readonly opcode: readonly number[];
  /** The register field of ModRM: a register, or for x87 a part of the opcode. */
  readonly reg: number;
}
const WIDE: readonly WideInstruction[] = [
  { name: 'movq mm', bytes: 8, isStore: false, opcode: [0x0f, 0x6f], reg: 0 },
  { name: 'movq mm', bytes: 8, isStore: true, opcode: [0x0f, 0x7f], reg: 0 },
  { name: 'movq xmm', bytes: 8, isStore: false, opcode: [0xf3, 0x0f, 0x7e], reg: 1 },
  { name: 'movq xmm', bytes: 8, isStore: true, opcode: [0x66, 0x0f, 0xd6], reg: 1 },
  { name: 'movups', bytes: 16, isStore: false, opcode: [0x0f, 0x10], reg: 2 },
  { name: 'movups', bytes: 16, isStore: true, opcode: [0x0f, 0x11], reg: 2 },
  { name: 'movdqu', bytes: 16, isStore: false, opcode: [0xf3, 0x0f, 0x6f], reg: 3 },
  { name: 'movdqu', bytes: 16, isStore: true, opcode: [0xf3, 0x0f, 0x7f], reg: 3 },
  { name: 'fld', bytes: 8, isStore: false, opcode: [0xdd], reg: 0 },
  { name: 'fstp', bytes: 8, isStore: true, opcode: [0xdd], reg: 3 },
];
/** movs, stos and lods: opcode for bytes, whether it reads at ESI, whether it writes at EDI. */
const STRINGS = [
  { opcode: 0xa4, reads: true, writes: true },
  { opcode: 0xaa, reads: false, writes: true },
  { opcode: 0xac, reads: true, writes: false },
];

function imm32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
