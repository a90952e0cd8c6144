/**
 * PrivilegedGuest: encodes an input as a guest with descriptor tables, page tables, tasks and code
 * of any content, most of it nearly valid.
 *
 * Called by: the target "privileged" (privileged-state.ts). What a field may hold is in the lists
 * below: an input mostly picks one of them, so that a guest gets past the first check of the CPU.
 *
 * Source: Intel SDM, volume 3A, chapters 3 to 7.
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { VcpuRegisters } from '../../hypervisor/vcpu-registers.js';
import type { FuzzInput } from '../fuzz-input.js';
import { Known, transfer } from './privileged-transfer.js';

export const MEMORY_BYTES = 1 << 20;
// Guest-physical addresses. Page tables map the RAM to itself, mostly.
const GDT = 0x1000;
const GDT_ENTRIES = 24;
const IDT = 0x2000;
const IDT_ENTRIES = 40;
const TASKS = [0x3000, 0x3100] as const;
const PAGE_DIRECTORY = 0x4000;
const PAGE_TABLE = 0x5000;
/** The four page-directory pointers of PAE paging. */
const POINTERS = 0x6000;
const OPERANDS = 0x7000;
const HANDLERS = 0x8000;
const HANDLER_BYTES = 16;
const CODE = 0x1_0000;
const STACK = 0x2_0000;
/** Of a 32-bit TSS. */
const TASK_BYTES = 0x68;
/** Exceptions that push an error code. */
const WITH_ERROR_CODE = [8, 10, 11, 12, 13, 14, 17];
/** Where a transfer leads. */
const TARGET = 0x1_8000;

const CALL_GATE = 0x8c;
const CODE_SELECTOR = 8;
const DATA_SELECTOR = 16;
/** Access bytes: code and data of both levels, tables, tasks, gates, absent ones. */
const ACCESS = [
  ...[0x9b, 0x93, 0xfb, 0xf3, 0x9f, 0xff, 0x91, 0x97, 0x99, 0x1b, 0x13],
  ...[0x89, 0x8b, 0x81, 0xe9, 0x82, 0x09, 0x80, 0x8d],
  ...[0x84, 0x8c, 0xe4, 0xec, 0x85, 0xe5, 0x86, 0x8e, 0x8f, 0xee, 0xef, 0x0e],
];
/** Of the gates in the IDT: interrupt, trap and task gates, wrong types, absent ones. */
const GATE_ACCESS = [0x8e, 0x8f, 0xee, 0x86, 0x87, 0x85, 0x0e, 0x8c, 0x9e, 0];
const BASES = [0, 0, 0, ...TASKS, 0x10_0000, 0xffff_f000, 0xa_0000, 0xfee0_0000];
const LIMITS = [0xf_ffff, 0xf_ffff, 0x67, 0x66, 0x2b, 0, 0xfff];
/** The bits G and D/B of a descriptor. */
const SIZES = [0xcf, 0x4f, 0, 0x8f];
const POINTER_VALUES = [
  ...[0, 1, 0xfff, CODE, STACK, OPERANDS, HANDLERS, GDT, IDT, 0xf_fffe, 0x10_0000, 0xa_0000, 0xd000_0000],
  ...[0xfee0_0080, 0xfec0_0000, 0xffff_ffff, 0x7fff_ffff, 0x1_0ffe],
];
/** CR0: PE, ET, PG, WP, NW and CD in right and wrong combinations. */
const CR0_VALUES = [0x11, 0x8000_0011, 0x8000_0000, 0x10, 0x6000_0011, 0x8001_0011, 0x3f, 0x2000_0011];
const CR4_VALUES = [0, 0x10, 0x20, 0x30, 0xb0, 0x200, 1, 0xffff_ffff];
const CR3_VALUES = [PAGE_DIRECTORY, POINTERS, POINTERS | 0x18, 0, 0xa_0000, 0xf_f000, 0xd000_0000, 0xffff_ffff];
/** EFLAGS with IF, NT, VM, RF, TF and IOPL. */
const FLAGS = [2, 0x202, 0x4002, 0x2_0002, 0x2_3202, 0x1_0002, 0x102, 0x3002, 0xffff_ffff];
const PAGE_ENTRIES = [
  0x67, 0x07, 0x87, 0x83, 0x05, 0, 0x01, 0xa_0067, 0x10_0067, 0xd000_0067, 0xfee0_0067, 0xffff_ffff,
];
const PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
/** SYSENTER's three, TSC, IA32_APIC_BASE, IA32_PAT, IA32_EFER and none. */
const MSRS = [0x174, 0x175, 0x176, 0x10, 0x1b, 0x277, 0xc000_0080, 0xffff_ffff];

/** Complete instructions, and opcodes that a ModRM byte with any register or address follows. */
// prettier-ignore
const PLAIN: readonly (readonly number[])[] = [
  [0xcf], [0xcb], [0xc3], [0xc9], [0xcc], [0xce], [0xf1], [0xf4], [0xfa], [0xfb], [0x9c], [0x9d], [0x60], [0x61],
  [0x06], [0x07], [0x16], [0x17], [0x1e], [0x1f], [0x0f, 0xa0], [0x0f, 0xa1], [0x0f, 0xa8], [0x0f, 0xa9],
  [0x0f, 0x34], [0x0f, 0x35], [0x0f, 0x30], [0x0f, 0x32], [0x0f, 0x06], [0x0f, 0x08], [0x0f, 0x0b], [0x0f, 0xa2],
  [0x0f, 0x31], [0xec], [0xed], [0xee], [0xef], [0x6c], [0x6d], [0x6e], [0x6f], [0xa4], [0xa5], [0xaa], [0xab],
  [0x0f, 0x77], [0xdb, 0xe3], [0x98], [0x27], [0xd4, 0], [0x0f, 0x05], [0x0f, 0x07], [0xf0, 0x0f, 0xc7, 0xc8],
];
// prettier-ignore
const WITH_MODRM: readonly (readonly number[])[] = [
  [0x0f, 0x00], [0x0f, 0x01], [0x0f, 0x02], [0x0f, 0x03], [0x0f, 0xae], [0x0f, 0xc7], [0x0f, 0x20], [0x0f, 0x21],
  [0x0f, 0x22], [0x0f, 0x23], [0x0f, 0xb2], [0x0f, 0xb4], [0xc4], [0xc5], [0x62], [0x63], [0x8c], [0x8e], [0x8e],
  [0x8f], [0xff], [0xff], [0xf6], [0xf7], [0xd9], [0xdb], [0xdd], [0xdf], [0x89], [0x8b], [0x87], [0x0f, 0xb1],
  [0x0f, 0x28], [0x0f, 0x29], [0x0f, 0xf7], [0x66, 0x0f, 0xf7], [0x0f, 0x10], [0x0f, 0xe7], [0x8d], [0x0f, 0xba],
];

export class PrivilegedGuest {
  readonly registers: VcpuRegisters;
  /** The only level that may write to TARGET_PORT (privileged-transfer.ts). Undefined: any. */
  targetLevel: number | undefined;
  readonly #input: FuzzInput;
  readonly #memory: GuestMemory;

  /** Fills `memory`, whose content is all zeros. */
  constructor(input: FuzzInput, memory: GuestMemory) {
    this.#input = input;
    this.#memory = memory;
    // One guest of eight runs in real mode, one makes a transfer.
    const kind = input.below(8);
    const isReal = kind === 0;
    if (kind === 7) {
      this.registers = this.#transfer();
      return;
    }
    const is32 = input.below(4) !== 0;
    this.registers = isReal ? this.#real() : this.#protected(is32);
    const code: number[] = [];
    while (!input.isEmpty && code.length < 0x800) this.#instruction(code, !isReal && is32);
    // Then the code runs on into zeros, which are ADD [EAX], AL.
    this.#put(CODE, code);
  }

  #real(): VcpuRegisters {
    const input = this.#input;
    for (let vector = 0; vector < IDT_ENTRIES; vector++)
      this.#memory.writeU32(4 * vector, input.below(8) === 0 ? input.u32() : HANDLERS + vector * HANDLER_BYTES);
    this.#handlers();
    return {
      mode: 'real',
      ip: 0,
      esp: input.pick([0x7000, 0, 1, 0xffff]),
      cs: { selector: CODE >> 4 },
      ds: { selector: 0 },
      ...this.#general(),
    };
  }

  #protected(is32: boolean): VcpuRegisters {
    const input = this.#input;
    const memory = this.#memory;
    const size = is32 ? 0xcf : 0x8f;
    this.#descriptor(GDT + CODE_SELECTOR, 0, 0xf_ffff, 0x9b, size);
    this.#descriptor(GDT + DATA_SELECTOR, 0, 0xf_ffff, 0x93, size);
    for (let entry = 3; entry < GDT_ENTRIES; entry++) {
      const at = GDT + 8 * entry;
      if (input.below(4) === 0) this.#gate(at, input.word(POINTER_VALUES), input.pick(ACCESS));
      else this.#descriptor(at, input.word(BASES), input.word(LIMITS), input.pick(ACCESS), input.pick(SIZES));
    }
    const validGates = input.pick(['most', 'all', 'any'] as const);
    for (let vector = 0; vector < IDT_ENTRIES; vector++) {
      const isValid = validGates === 'most' ? input.below(8) !== 0 : validGates === 'all';
      if (isValid) this.#gate(IDT + 8 * vector, HANDLERS + vector * HANDLER_BYTES, 0x8e, CODE_SELECTOR);
      else this.#gate(IDT + 8 * vector, HANDLERS + vector * HANDLER_BYTES, input.pick(GATE_ACCESS));
    }
    this.#handlers();
    for (const task of TASKS)
      for (let at = 0; at < TASK_BYTES; at += 4) memory.writeU32(task + at, input.below(4) === 0 ? this.#value() : 0);
    for (let entry = 0; entry < 8; entry++) {
      const isUsual = input.below(3) !== 0;
      memory.writeU32(PAGE_DIRECTORY + 4 * entry, isUsual && entry === 0 ? PAGE_TABLE | 7 : input.word(PAGE_ENTRIES));
      memory.writeU32(POINTERS + 8 * (entry & 3), input.pick([PAGE_DIRECTORY | 1, 0, PAGE_DIRECTORY | 0x1e7]));
    }
    for (let page = 0; page < 256; page++)
      memory.writeU32(PAGE_TABLE + 4 * page, input.below(16) === 1 ? input.word(PAGE_ENTRIES) : (page << 12) | 7);
    const limit = input.pick([8 * IDT_ENTRIES - 1, 8 * IDT_ENTRIES - 1, 0x6f, 0, 0xffff]);
    return {
      mode: 'flat-32',
      ip: CODE,
      esp: input.pick([STACK, STACK, 0, 2, 0xd000_0010, 0xfee0_0090, 0x10_0004]),
      flags: input.pick([2, 0x202, 0x4002, 0x3202]),
      cs: { selector: CODE_SELECTOR, attributes: is32 ? 0xc09b : 0x809b },
      ds: { selector: DATA_SELECTOR, attributes: is32 ? 0xc093 : 0x8093 },
      gdt: { base: GDT, limit: 8 * GDT_ENTRIES - 1 },
      idt: { base: input.pick([IDT, IDT, IDT, 0xf_fff0, 0xd000_0000, 0xffff_fff0]), limit },
      tr: { selector: 0x18, base: input.pick(TASKS), limit: input.pick([0x67, 0x2b, 3]) },
      ...this.#general(),
    };
  }

  /** Tables that are right, with some more descriptors of any kind, and one transfer. */
  #transfer(): VcpuRegisters {
    const [task, current] = TASKS;
    // First, so that an input need not be long.
    const { code, task: words, target, level } = transfer(this.#input, TARGET, STACK - 0x100);
    const registers = this.#protected(true);
    this.targetLevel = level;
    // Without the selectors' privilege level, 3.
    this.#descriptor(GDT + Known.USER_CODE - 3, 0, 0xf_ffff, 0xfb, 0xcf);
    this.#descriptor(GDT + Known.USER_DATA - 3, 0, 0xf_ffff, 0xf3, 0xcf);
    this.#descriptor(GDT + Known.TASK, task, TASK_BYTES - 1, 0x89, 0);
    this.#descriptor(GDT + Known.CURRENT_TASK, current, TASK_BYTES - 1, 0x8b, 0);
    for (let vector = 0; vector < IDT_ENTRIES; vector++) {
      this.#gate(IDT + 8 * vector, HANDLERS + vector * HANDLER_BYTES, 0x8e, CODE_SELECTOR);
      this.#put(HANDLERS + vector * HANDLER_BYTES, [0xfa, 0xf4]);
    }
    for (let at = 0; at < TASK_BYTES; at += 4) this.#memory.writeU32(current + at, 0);
    // The stack for level 0.
    this.#memory.writeU32(current + 4, STACK - 0x200);
    this.#memory.writeU32(current + 8, DATA_SELECTOR);
    words.forEach((word, index) => this.#memory.writeU32(task + 4 * index, word));
    this.#put(CODE, code);
    this.#put(TARGET, target);
    return {
      ...registers,
      esp: STACK,
      flags: 2,
      idt: { base: IDT, limit: 8 * IDT_ENTRIES - 1 },
      tr: { selector: Known.CURRENT_TASK, base: current, limit: TASK_BYTES - 1 },
    };
  }

  #general(): Partial<VcpuRegisters> {
    return { eax: this.#value(), ecx: this.#value(), edx: this.#value(), ebx: this.#value(), edi: this.#value() };
  }

  /** A pointer, a selector or any number. */
  #value(): number {
    return this.#input.below(2) === 0 ? this.#selector() : this.#input.word(POINTER_VALUES);
  }

  #selector(): number {
    return this.#input.below(8) === 0
      ? this.#input.u16()
      : (this.#input.below(GDT_ENTRIES) << 3) | this.#input.below(4);
  }

  #handlers(): void {
    for (let vector = 0; vector < IDT_ENTRIES; vector++) {
      const hasCode = WITH_ERROR_CODE.includes(vector);
      const address = HANDLERS + vector * HANDLER_BYTES;
      // Half halt, half return behind the next byte if 32-bit: pop eax; inc dword [esp]; iret
      const back = [...(hasCode ? [0x58] : []), 0xff, 0x04, 0x24, 0xcf];
      this.#put(address, this.#input.below(2) === 0 ? back : [0xfa, 0xf4]);
    }
  }

  #instruction(code: number[], is32: boolean): void {
    const input = this.#input;
    const wide = is32 ? [] : [0x66];
    const kind = input.below(16);
    if (kind < 3) code.push(...wide, 0xb8 | input.below(8), ...imm32(this.#value()));
    else if (kind === 3) code.push(...wide, 0x68, ...imm32(input.pick([this.#value(), input.word(FLAGS)])));
    else if (kind < 6) code.push(...this.#prefixes(), ...input.pick(PLAIN));
    else if (kind < 9) code.push(...this.#prefixes(), ...input.pick(WITH_MODRM), ...this.#modrm(is32));
    else if (kind === 9) {
      // SS, ESP, EFLAGS, CS and EIP, then IRET or RETF. A return to an outer level takes all five.
      const frame = [
        this.#value(),
        this.#selector(),
        input.word(FLAGS),
        this.#selector(),
        input.pick([CODE, CODE + 64]),
      ];
      for (const value of frame) code.push(...wide, 0x68, ...imm32(value));
      code.push(...wide, input.pick([0xcf, 0xcf, 0xcb]));
    } else if (kind === 10) {
      const target = input.pick([CODE, CODE + 32, HANDLERS, 0xd000_0000, 0xf_fff8, 0xa_0000, 0xffff_fff0, 0x20_0000]);
      const far = [...imm32(target), ...imm32(this.#selector()).slice(0, 2)];
      code.push(...wide, ...input.pick([[0xea], [0x9a], [0xe9]]), ...far);
    } else if (kind === 11) code.push(0xcd, input.below(64));
    else if (kind === 12) this.#control(code, wide);
    else if (kind === 13) code.push(0xb9, ...imm32(input.pick(MSRS)), 0x0f, input.pick([0x30, 0x32]));
    else if (kind === 14) for (let left = input.below(20); left > 0; left--) code.push(input.pick(PREFIXES));
    else code.push(input.u8(), input.u8(), input.u8());
  }

  /** mov eax, value; mov cr, eax */
  #control(code: number[], wide: readonly number[]): void {
    const register = this.#input.pick([0, 3, 4] as const);
    const value = this.#input.word(register === 0 ? CR0_VALUES : register === 3 ? CR3_VALUES : CR4_VALUES);
    code.push(...wide, 0xb8, ...imm32(value), 0x0f, 0x22, 0xc0 | (register << 3));
  }

  #prefixes(): number[] {
    return this.#input.below(4) === 0 ? [this.#input.pick(PREFIXES)] : [];
  }

  /** A register, or [disp] with a pointer. */
  #modrm(is32: boolean): number[] {
    const input = this.#input;
    const register = input.below(8) << 3;
    if (input.below(2) === 0) return [0xc0 | register | input.below(8)];
    const address = imm32(input.word(POINTER_VALUES));
    return is32 ? [register | 5, ...address] : [register | 6, ...address.slice(0, 2)];
  }

  #descriptor(at: number, base: number, limit: number, access: number, flags: number): void {
    this.#memory.writeU32(at, ((base & 0xffff) << 16) | (limit & 0xffff));
    this.#memory.writeU32(
      at + 4,
      (base & 0xff00_0000) | ((flags & 0xf0) << 16) | (limit & 0xf_0000) | (access << 8) | ((base >>> 16) & 0xff),
    );
  }

  #gate(at: number, offset: number, access: number, selector = this.#selector()): void {
    this.#memory.writeU32(at, (selector << 16) | (offset & 0xffff));
    const parameters = access === CALL_GATE ? this.#input.below(4) : 0;
    this.#memory.writeU32(at + 4, (offset & 0xffff_0000) | (access << 8) | parameters);
  }

  #put(address: number, code: readonly number[]): void {
    this.#memory.write(address, Uint8Array.from(code));
  }
}

function imm32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
