/**
 * IRET in 32-bit protected mode, for machines where KVM emulates the guest's kernel instead of
 * running it: its emulator has no IRET but that of real mode. Processors with VT-x or AMD-V run the
 * instruction themselves, and never get here.
 *
 * Called by: KvmVcpu, after KVM has failed to emulate an instruction.
 *
 * Only the return of an interrupt handler to the code that it interrupted: the same code segment,
 * privilege level 0, no paging. Anything else is left alone, and the vCPU fails with KVM's message.
 *
 * Source: Intel SDM, volume 2, IRET.
 */

import type { GuestMemory } from '../guest-memory.js';
import { Segment } from './start-state.js';

const IRET = 0xcf;
// Offsets in kvm_regs and kvm_sregs. A segment: base, limit, selector at 12, D/B at 17, DPL at 16.
const RSP = 48;
const RIP = 128;
const RFLAGS = 136;
const CR0 = 224;
const EFER = 264;
const SELECTOR = 12;
const DPL = 16;
const DEFAULT_SIZE = 17;

const PROTECTION_ENABLED = 1;
const PAGING = 0x8000_0000;
const VIRTUAL_8086 = 1 << 17;
const NESTED_TASK = 1 << 14;
/** The flags that exist, and bit 1, which is always 1. */
const FLAGS = 0x25_7fd5;
const FLAGS_AT_START = 2;
/** EIP, CS, EFLAGS. */
const FRAME_BYTES = 12;

/** The structures kvm_regs and kvm_sregs. */
export interface VcpuFrame {
  readonly regs: DataView;
  readonly sregs: DataView;
}

/**
 * Changes `regs` as the instruction does. Returns false, and changes nothing, if it is another one.
 */
export function returnFromInterrupt({ regs, sregs }: VcpuFrame, memory: GuestMemory): boolean {
  const cr0 = sregs.getUint32(CR0, true);
  const isFlat = (cr0 & PROTECTION_ENABLED) !== 0 && (cr0 & PAGING) === 0 && sregs.getUint32(EFER, true) === 0;
  const is32 = sregs.getUint8(Segment.cs + DEFAULT_SIZE) === 1 && sregs.getUint8(Segment.ss + DEFAULT_SIZE) === 1;
  const isKernel = sregs.getUint8(Segment.cs + DPL) === 0;
  const flags = regs.getUint32(RFLAGS, true);
  if (!isFlat || !is32 || !isKernel || (flags & (NESTED_TASK | VIRTUAL_8086)) !== 0) return false;

  const instruction = linear(sregs, Segment.cs, regs.getUint32(RIP, true));
  const stack = regs.getUint32(RSP, true);
  const frame = linear(sregs, Segment.ss, stack);
  if (!memory.contains(instruction, 1) || memory.readU8(instruction) !== IRET) return false;
  if (!memory.contains(frame, FRAME_BYTES)) return false;
  const newFlags = memory.readU32(frame + 8);
  const isSame = (memory.readU32(frame + 4) & 0xffff) === sregs.getUint16(Segment.cs + SELECTOR, true);
  if (!isSame || (newFlags & VIRTUAL_8086) !== 0) return false;

  regs.setBigUint64(RIP, BigInt(memory.readU32(frame)), true);
  regs.setBigUint64(RFLAGS, BigInt((newFlags & FLAGS) | FLAGS_AT_START), true);
  regs.setBigUint64(RSP, BigInt((stack + FRAME_BYTES) >>> 0), true);
  return true;
}

function linear(sregs: DataView, segment: number, offset: number): number {
  return (sregs.getUint32(segment, true) + offset) >>> 0;
}
