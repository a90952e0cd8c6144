/** Puts a core that is at power-on into the state that VcpuRegisters describe. */

import type { VcpuRegisters } from '../vcpu-registers.js';
import type { CoreExports } from './core-exports.js';
import { CoreOffset, GeneralRegister, SEGMENT_COUNT, SegmentIndex } from './core-layout.js';

/** CR0.PE, and CR0.ET, which is always 1. */
const PROTECTED = 0x11;
/** Bit 1 of EFLAGS is always 1. */
const FLAGS_AT_START = 2;
/** Present, accessed, descriptor privilege level 0; readable code, writable data. */
const CODE_ACCESS = 0x9b;
const DATA_ACCESS = 0x93;
const REAL_MODE_LIMIT = 0xffff;
const FLAT_LIMIT = 0xffff_ffff;

export function setRegisters(core: CoreExports, registers: VcpuRegisters): void {
  const view = new DataView(core.memory.buffer);
  const word = (offset: number, value: number): void => view.setInt32(offset, value, true);
  const isFlat = registers.mode === 'flat-32';

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
  word(CoreOffset.flags, FLAGS_AT_START);

  for (let segment = 0; segment < SEGMENT_COUNT; segment++) {
    const { selector, base } = segment === SegmentIndex.CS ? registers.cs : registers.ds;
    view.setUint16(CoreOffset.segmentSelectors + 2 * segment, selector, true);
    word(CoreOffset.segmentBases + 4 * segment, base ?? (isFlat ? 0 : (selector & 0xffff) * 16));
    view.setUint32(CoreOffset.segmentLimits + 4 * segment, isFlat ? FLAT_LIMIT : REAL_MODE_LIMIT, true);
    view.setUint8(CoreOffset.segmentIsNull + segment, 0);
    view.setUint8(CoreOffset.segmentAccess + segment, segment === SegmentIndex.CS ? CODE_ACCESS : DATA_ACCESS);
  }
  const mode = isFlat ? 1 : 0;
  if (isFlat) word(CoreOffset.cr0, PROTECTED);
  view.setUint8(CoreOffset.protectedMode, mode);
  view.setUint8(CoreOffset.codeIs32, mode);
  view.setUint8(CoreOffset.stackIs32, mode);
  view.setUint8(CoreOffset.cpl, 0);
  if (registers.gdt !== undefined) {
    word(CoreOffset.gdtBase, registers.gdt.base);
    word(CoreOffset.gdtLimit, registers.gdt.limit);
  }
  const codeBase = view.getInt32(CoreOffset.segmentBases + 4 * SegmentIndex.CS, true);
  word(CoreOffset.instructionPointer, codeBase + registers.ip);
  core.update_state_flags();
}
