/**
 * Edits of the core's functions that load control registers and CS, where the core takes a value
 * that a CPU refuses.
 *
 * - MOV CR0 with PG and without PE, or with NW and without CD: #GP(0). The core panics at the
 *   first.
 * - MOV CR4 with a bit of a feature that CPUID denies: #GP(0). Virtual-8086 mode extensions (VME)
 *   are the one that matters: with them set, the core panics at the next interrupt.
 * - With PAE paging, CR3 holds bits 31 to 5 of a table of four entries, whose reserved bits are to
 *   be 0. The core takes bit 4 (PCD) for one of the address, and reserved bits for nothing.
 * - Far JMP and CALL to a system descriptor that is neither a gate nor an available TSS: #GP. The
 *   core skips the instruction. Far JMP through a call gate to code of an inner level: #GP. The
 *   core goes there.
 * - IRET, or an interrupt, to a system descriptor in the place of CS: #GP. The core tests only
 *   whether bit 3 of the type says "code", which is set in those of tasks and gates, too.
 * - FXSAVE and FXRSTOR at an address that is not a multiple of 16: #GP(0). The core goes on.
 *
 * Sources: Intel SDM volume 2, "MOV - Move to/from Control Registers", "JMP", "CALL"; volume 3A,
 * section 4.4.1.
 *
 * Called by: wasm-edit.ts. Each edit throws CORE_MISMATCH if the module is not as expected.
 */

import type { UpcallError } from '../../io-request/upcall-error.js';
import { AddedOffset, CoreOffset, LookupResult } from './core-layout.js';
import {
  ADD,
  AND,
  BELOW,
  BRANCH_IF,
  call,
  constant,
  EQUAL,
  IS_ZERO,
  LOAD,
  loadByte,
  loadHalf,
  loadWord,
  local,
  LOCAL_TEE,
  NOT_EQUAL,
  OR,
  RETURN,
  SHIFT_LEFT,
  SHIFT_RIGHT,
  when,
  WIDE_AND,
  WIDE_CONSTANT,
  WIDE_EQUAL,
  WIDE_IS_ZERO,
  WIDE_NOT_EQUAL,
} from './wasm-code.js';
import type { WasmFunctions } from './wasm-functions.js';

type Mismatch = (what: string) => UpcallError;

const CR0_PE = 1;
const CR0_NW = 1 << 29;
const CR0_CD = 1 << 30;
const CR0_PG = 1 << 31;
const CR4_PAE = 1 << 5;
const CR3 = 3;
const CR4 = 4;
/** What the core refuses of CR4: bits that Intel had not defined when it was written. */
const RESERVED = 0xffc9_9800 | 0;
/** VME, PVI, VMXE, SMXE, PCIDE, OSXSAVE: CPUID denies these features. */
const DENIED = (1 << 0) | (1 << 1) | (1 << 13) | (1 << 14) | (1 << 17) | (1 << 18);
/** What MOV CR3 takes as the address with PAE: the core's mask, and the right one. */
const PAE_BASE = -16;
const PAE_BASE_MASK = -32;
const PRESENT = 1;
/** Bits 1, 2 and 5 to 8 of a PDPTE. */
const PDPTE_RESERVED = 0x1e6;
const PDPTES = 4;

// Of a descriptor's access byte; a gate's type is in its low four bits.
const CODE_OR_DATA = 0x10;
const EXECUTABLE = 0x08;
const CONFORMING = 0x04;
const IS_PRESENT = 0x80;
const CALL_GATE_16 = 4;
const CALL_GATE_32 = 12;
/** One bit for each type: available TSS of 16 and 32 bits, call gates of both, task gate. */
const TARGETS = (1 << 1) | (1 << 9) | (1 << CALL_GATE_16) | (1 << CALL_GATE_32) | (1 << 5);
/** An error code's bits of a selector: without its requested privilege level. */
const SELECTOR = 0xfffc;
/** LookupResult.outcome: a page fault was raised. */
const RAISED = 2;
/** EFLAGS.VM, in the third byte of EFLAGS. */
const VM = 2;

export function editControl(functions: WasmFunctions, mismatch: Mismatch): void {
  const refuse = (errorCode: readonly number[]): number[] => [...errorCode, ...call(functions.index('trigger_gp'))];
  const refuseZero = [...refuse(constant(0)), RETURN];
  const move = functions.index('instr_0F22');
  const isBad = badPointers(functions);

  const value = local(0);
  const has = (of: readonly number[], bits: number, wanted: number): number[] => [
    ...of,
    ...constant(bits),
    AND,
    ...constant(wanted),
    EQUAL,
  ];
  functions.insertAtStart(functions.index('set_cr0'), [
    ...when([...has(value, CR0_PE | CR0_PG, CR0_PG), ...has(value, CR0_NW | CR0_CD, CR0_NW), OR], refuseZero),
    ...when(
      [
        ...[...has(value, CR0_PG, CR0_PG), ...has(loadWord(CoreOffset.cr0), CR0_PG, 0), AND],
        ...[...has(loadWord(CoreOffset.cr0 + 4 * CR4), CR4_PAE, CR4_PAE), AND],
      ],
      when([...loadWord(CoreOffset.cr0 + 4 * CR3), ...call(isBad)], refuseZero),
    ),
  ]);

  const denied = functions.replaceEach(move, [...constant(RESERVED), AND], () => [...constant(RESERVED | DENIED), AND]);
  if (denied !== 1) throw mismatch(`it tests CR4 ${denied} times, not once`);
  for (const name of ['instr_0F22', 'do_task_switch']) {
    const base = (mask: number): number[] => [...constant(mask), AND, LOCAL_TEE];
    if (functions.replaceEach(functions.index(name), base(PAE_BASE), () => base(PAE_BASE_MASK)) !== 1)
      throw mismatch(`${name} does not load CR3 once`);
  }
  // MOV CR3 from the general register local 0, at privilege level 0, with PAE paging on.
  functions.insertAtStart(
    move,
    when(
      [
        ...[...local(1), ...constant(CR3), EQUAL, ...loadByte(CoreOffset.cpl), IS_ZERO, AND],
        ...[...has(loadWord(CoreOffset.cr0), CR0_PG, CR0_PG), AND],
        ...[...has(loadWord(CoreOffset.cr0 + 4 * CR4), CR4_PAE, CR4_PAE), AND],
      ],
      when([...generalRegister(local(0)), ...call(isBad)], refuseZero),
    ),
  );
  editFarTransfers(functions, refuse);
  editCodeTests(functions, mismatch);
  const isUnaligned = [...local(0), ...constant(15), AND];
  for (const name of ['instr_0FAE_0_mem', 'instr_0FAE_1_mem'])
    functions.insertAtStart(functions.index(name), when(isUnaligned, refuseZero));
}

/** "Bit 3 of the type is 0" becomes "not both that bit and S are 1". */
function editCodeTests(functions: WasmFunctions, mismatch: Mismatch): void {
  const masked = (bits: number): number[] => [...wideConstant(bits), WIDE_AND];
  const both = EXECUTABLE | CODE_OR_DATA;
  const test = [...masked(both), ...wideConstant(both), WIDE_NOT_EQUAL];
  for (const [name, isZero] of [
    ['call_interrupt_vector', [WIDE_IS_ZERO, BRANCH_IF]],
    ['iret', [WIDE_CONSTANT, 0, WIDE_EQUAL, BRANCH_IF]],
  ] as const) {
    const found = functions.replaceEach(functions.index(name), [...masked(EXECUTABLE), ...isZero], () => [
      ...test,
      BRANCH_IF,
    ]);
    if (found !== 1) throw mismatch(`${name} tests for code ${found} times, not once`);
  }
}

/** Bits 2 to 7 of a descriptor's access byte as a constant of 64 bits. */
function wideConstant(access: number): number[] {
  // The access byte has bits 40 to 47, the seventh group of seven bits those from 42 on.
  return [WIDE_CONSTANT, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, access >> 2];
}

function generalRegister(index: readonly number[]): number[] {
  return [...index, ...constant(2), SHIFT_LEFT, LOAD, 2, CoreOffset.generalRegisters];
}

/** A function of CR3's value: whether one of the four page-directory pointers has reserved bits. */
function badPointers(functions: WasmFunctions): number {
  const read = functions.index('read32s');
  const code: number[] = [];
  for (let entry = 0; entry < PDPTES; entry++) {
    const half = (at: number): number[] => [
      ...[...local(0), ...constant(PAE_BASE_MASK), AND, ...constant(8 * entry + at), ADD, ...call(read)],
    ];
    const low = half(0);
    // The CPU has 32 physical address bits: the upper half is reserved as a whole.
    const isReserved = [...low, ...constant(PDPTE_RESERVED), AND, ...half(4), OR];
    code.push(...when([...low, ...constant(PRESENT), AND], when(isReserved, [...constant(1), RETURN])));
  }
  return functions.append(1, 1, [...code, ...constant(0)]);
}

/** `far_jump` has the parameters EIP, selector, whether it is a CALL, operand size. */
function editFarTransfers(functions: WasmFunctions, refuse: (errorCode: readonly number[]) => number[]): void {
  const result = AddedOffset.lookup;
  const [selector, isCall] = [local(0), local(1)];
  const yes = [...constant(1), RETURN];
  const no = [...constant(0), RETURN];
  const access = loadByte(result + LookupResult.access);
  const gateSelector = loadHalf(result + LookupResult.gateSelector);
  const level = [...access, ...constant(5), SHIFT_RIGHT, ...constant(3), AND];
  const cpl = loadByte(CoreOffset.cpl);
  const type = [...access, ...constant(15), AND];
  const readDescriptor = (of: readonly number[]): number[] => [
    ...[...constant(result), ...of, ...call(functions.index('lookup_segment_selector'))],
    ...when([...loadByte(result + LookupResult.outcome), ...constant(RAISED), EQUAL], yes),
    ...when(loadByte(result + LookupResult.outcome), no),
  ];
  const raise = (of: readonly number[]): number[] => [...refuse([...of, ...constant(SELECTOR), AND]), ...yes];
  // A function of the selector and of "is a CALL": 1 if it raised a fault. Each `yes` and `no` is a
  // return from it.
  const refused = functions.append(2, 1, [
    ...readDescriptor(selector),
    ...when([...access, ...constant(CODE_OR_DATA), AND], no),
    ...when([...constant(TARGETS), ...type, SHIFT_RIGHT, ...constant(1), AND, IS_ZERO], raise(selector)),
    // What follows is about JMP through a call gate. The core refuses one that is absent or not for
    // this privilege level.
    ...when(isCall, no),
    ...when([...type, ...constant(~(CALL_GATE_16 ^ CALL_GATE_32)), AND, ...constant(CALL_GATE_16), NOT_EQUAL], no),
    ...when([...access, ...constant(IS_PRESENT), AND, IS_ZERO], no),
    ...when([...level, ...cpl, BELOW, ...level, ...selector, ...constant(3), AND, BELOW, OR], no),
    ...readDescriptor(gateSelector),
    ...when(
      [...access, ...constant(CODE_OR_DATA | EXECUTABLE), AND, ...constant(CODE_OR_DATA | EXECUTABLE), NOT_EQUAL],
      no,
    ),
    ...when([...access, ...constant(CONFORMING), AND], no),
    ...when([...level, ...cpl, EQUAL], no),
    ...raise(loadWord(AddedOffset.selector)),
    ...constant(0),
  ]);
  const isProtected = [
    ...[...loadByte(CoreOffset.protectedMode)],
    ...[...loadByte(CoreOffset.flags + 2), ...constant(VM), AND, IS_ZERO, AND],
  ];
  functions.insertAtStart(
    functions.index('far_jump'),
    when(isProtected, when([...local(1), ...local(2), ...call(refused)], [RETURN])),
  );
}
