/**
 * Sets the registers of a core at power-on to what VcpuRegisters describe. Most of them are words
 * in the core's memory. The control registers go through the core's own MOV instruction, which also
 * updates its TLB, and with PAE loads the four page-directory pointers from the guest's memory.
 *
 * Called by: Core, at each start of the VM for which registers are set, with the CPU at power-on.
 */

import type { SegmentRegister, VcpuRegisters } from '../vcpu-registers.js';
import type { CoreExports } from './core-exports.js';
import { CoreOffset, CPU_STATE_BYTES, GeneralRegister, SegmentIndex, SystemSegmentIndex } from './core-layout.js';
import { coreFields } from './core-memory.js';

/** CR0.PE, and CR0.ET, which is always 1. */
const PROTECTED = 0x11;
/** Bit 1 of EFLAGS is always 1. */
const FLAGS_AT_START = 2;
/**
 * Present, accessed, descriptor privilege level 0; readable code, writable data. D/B is the default
 * operand size.
 */
const CODE = 0x9b;
const DATA = 0x93;
const SIZE_32 = 1 << 14;
const REAL_MODE_LIMIT = 0xffff;
const FLAT_LIMIT = 0xffff_ffff;

export function setRegisters(core: CoreExports, registers: VcpuRegisters): void {
  const view = coreFields(core.memory.buffer, 0, CPU_STATE_BYTES);
  const word = (offset: number, value: number): void => view.setInt32(offset, value, true);
  const isFlat = registers.mode === 'flat-32';

  const control = (index: number, value: number): void => {
    word(CoreOffset.generalRegisters, value);
    core.instr_0F22(GeneralRegister.EAX, index);
  };
  // CR4 selects the kind of the tables that CR3 points to, and CR0 turns them on.
  if (registers.cr4 !== undefined) control(4, registers.cr4);
  if (registers.cr3 !== undefined) control(3, registers.cr3);
  const cr0 = registers.cr0 ?? (isFlat ? PROTECTED : undefined);
  if (cr0 !== undefined) control(0, cr0);

  const general: Record<keyof typeof GeneralRegister, number | undefined> = {
    EAX: registers.eax,
    ECX: registers.ecx,
    EDX: registers.edx,
    EBX: registers.ebx,
    ESP: registers.esp,
    EBP: registers.ebp,
    ESI: registers.esi,
    EDI: registers.edi,
  };
  for (const name of Object.keys(GeneralRegister) as (keyof typeof GeneralRegister)[])
    word(CoreOffset.generalRegisters + 4 * GeneralRegister[name], general[name] ?? 0);
  word(CoreOffset.flags, registers.flags ?? FLAGS_AT_START);

  const segment = (index: number, start: SegmentRegister): void => {
    const { selector } = start;
    view.setUint16(CoreOffset.segmentSelectors + 2 * index, selector, true);
    word(CoreOffset.segmentBases + 4 * index, start.base ?? (isFlat ? 0 : (selector & 0xffff) * 16));
    const limit = start.limit ?? (isFlat ? FLAT_LIMIT : REAL_MODE_LIMIT);
    view.setUint32(CoreOffset.segmentLimits + 4 * index, limit, true);
  };
  const { cs, ds, es = ds, fs = ds, gs = ds, ss = ds } = registers;
  const segments: Record<keyof typeof SegmentIndex, SegmentRegister> = {
    ES: es,
    CS: cs,
    SS: ss,
    DS: ds,
    FS: fs,
    GS: gs,
  };
  const size = isFlat ? SIZE_32 : 0;
  for (const name of Object.keys(SegmentIndex) as (keyof typeof SegmentIndex)[]) {
    const index = SegmentIndex[name];
    segment(index, segments[name]);
    const attributes = segments[name].attributes ?? (name === 'CS' ? CODE : DATA) | size;
    view.setUint8(CoreOffset.segmentIsNull + index, 0);
    view.setUint8(CoreOffset.segmentAccess + index, attributes);
    const is32 = (attributes & SIZE_32) === 0 ? 0 : 1;
    if (name === 'CS') view.setUint8(CoreOffset.codeIs32, is32);
    if (name === 'SS') view.setUint8(CoreOffset.stackIs32, is32);
  }
  view.setUint8(CoreOffset.cpl, 0);
  if (registers.ldtr !== undefined) segment(SystemSegmentIndex.LOCAL_TABLE, registers.ldtr);
  if (registers.tr !== undefined) {
    segment(SystemSegmentIndex.TASK, registers.tr);
    view.setUint8(CoreOffset.taskIs32, 1);
  }
  for (const [table, base, limit] of [
    [registers.gdt, CoreOffset.gdtBase, CoreOffset.gdtLimit],
    [registers.idt, CoreOffset.idtBase, CoreOffset.idtLimit],
  ] as const) {
    if (table === undefined) continue;
    word(base, table.base);
    word(limit, table.limit);
  }
  const codeBase = view.getInt32(CoreOffset.segmentBases + 4 * SegmentIndex.CS, true);
  word(CoreOffset.instructionPointer, codeBase + registers.ip);
  core.update_state_flags();
}
