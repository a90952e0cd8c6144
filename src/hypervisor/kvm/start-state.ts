/**
 * The registers with which a vCPU starts, as the kernel's structures kvm_regs and kvm_sregs.
 *
 * Called by: KvmVcpu, at each start of the VM for which registers are set; protected-return.ts, for
 * the offsets.
 *
 * Sources: struct kvm_regs, kvm_sregs, kvm_segment and kvm_dtable; Intel SDM, volume 3, "Guest
 * Register State", for the access rights.
 */

import type { DescriptorTable, SegmentRegister, VcpuRegisters } from '../vcpu-registers.js';

/** The general registers in the order of kvm_regs, then r8 to r15, then these two. */
const GENERAL = ['eax', 'ebx', 'ecx', 'edx', 'esi', 'edi', 'esp', 'ebp'] as const;
const REGISTER_BYTES = 8;
const RIP = 16 * REGISTER_BYTES;
const RFLAGS = 17 * REGISTER_BYTES;

/** Offsets in kvm_sregs. */
export const Segment = { cs: 0, ds: 24, es: 48, fs: 72, gs: 96, ss: 120, tr: 144, ldtr: 168 } as const;
const GDT = 192;
const IDT = 208;
const CR0 = 224;
const CR3 = 240;
const CR4 = 248;
const EFER = 264;

/** CR0.PE, and CR0.ET, which is always 1. */
const PROTECTED = 0x11;
const PAGING = 0x8000_0000;
/** CR4.PAE; EFER.LME and EFER.LMA. */
const PAGES_OF_64_BITS = 0x20;
const LONG_MODE = 0x500;
/** Bit 1 of EFLAGS is always 1. */
const FLAGS_AT_START = 2;
/** Access rights: present; readable code, writable data, a busy 32-bit TSS, an LDT. */
const CODE = 0x9b;
const DATA = 0x93;
const TASK = 0x8b;
const LOCAL_TABLE = 0x82;
const SIZE_32 = 1 << 14;
/** L, for code. */
const SIZE_64 = 1 << 13;
const REAL_MODE_LIMIT = 0xffff;
const FLAT_LIMIT = 0xffff_ffff;
/** Larger limits are counted in pages. */
const MAX_BYTE_LIMIT = 0xf_ffff;

/** Returns kvm_regs. */
export function generalRegisters(registers: VcpuRegisters): Uint8Array {
  const bytes = new Uint8Array(RFLAGS + REGISTER_BYTES);
  const view = new DataView(bytes.buffer);
  GENERAL.forEach((name, index) => view.setUint32(index * REGISTER_BYTES, registers[name] ?? 0, true));
  view.setUint32(RIP, registers.ip, true);
  view.setUint32(RFLAGS, registers.flags ?? FLAGS_AT_START, true);
  return bytes;
}

/** Changes `sregs`, which are kvm_sregs at power-on. */
export function setSystemRegisters(sregs: Uint8Array<ArrayBuffer>, registers: VcpuRegisters): void {
  const view = new DataView(sregs.buffer, sregs.byteOffset, sregs.byteLength);
  const isLong = registers.mode === 'long-64';
  const isFlat = isLong || registers.mode === 'flat-32';
  const segment = (name: keyof typeof Segment, from: SegmentRegister, rights: number): void => {
    const base = from.base ?? (isFlat ? 0 : (from.selector & 0xffff) * 16);
    setSegment(view, Segment[name], { ...from, base }, isFlat ? FLAT_LIMIT : REAL_MODE_LIMIT, rights);
  };
  const size = isFlat ? SIZE_32 : 0;
  const { cs, ds, es = ds, fs = ds, gs = ds, ss = ds } = registers;
  segment('cs', cs, CODE | (isLong ? SIZE_64 : size));
  for (const [name, from] of Object.entries({ ds, es, fs, gs, ss }))
    segment(name as keyof typeof Segment, from, DATA | size);
  if (registers.tr !== undefined) segment('tr', registers.tr, TASK);
  if (registers.ldtr !== undefined) segment('ldtr', registers.ldtr, LOCAL_TABLE);
  if (registers.gdt !== undefined) setTable(view, GDT, registers.gdt);
  if (registers.idt !== undefined) setTable(view, IDT, registers.idt);
  const control = (offset: number, value: number | undefined): void => {
    if (value !== undefined) view.setBigUint64(offset, BigInt(value), true);
  };
  const cr0 = isFlat ? PROTECTED : undefined;
  control(CR0, registers.cr0 ?? (isLong ? PROTECTED + PAGING : cr0));
  control(CR3, registers.cr3);
  control(CR4, registers.cr4 ?? (isLong ? PAGES_OF_64_BITS : undefined));
  if (isLong) control(EFER, LONG_MODE);
}

/** A struct kvm_segment. */
function setSegment(
  view: DataView,
  offset: number,
  segment: SegmentRegister & { readonly base: number },
  defaultLimit: number,
  defaultRights: number,
): void {
  const limit = segment.limit ?? defaultLimit;
  const rights = segment.attributes ?? defaultRights;
  const bit = (shift: number): number => (rights >>> shift) & 1;
  view.setBigUint64(offset, BigInt(segment.base), true);
  view.setUint32(offset + 8, limit, true);
  view.setUint16(offset + 12, segment.selector, true);
  const granularity = limit > MAX_BYTE_LIMIT ? 1 : 0;
  // type, present, dpl, db, s, l, g, avl, unusable, and a byte of padding.
  const fields = [rights & 15, bit(7), (rights >>> 5) & 3, bit(14), bit(4), bit(13), granularity, bit(12), bit(16), 0];
  fields.forEach((value, index) => view.setUint8(offset + 14 + index, value));
}

/** A struct kvm_dtable. */
function setTable(view: DataView, offset: number, { base, limit }: DescriptorTable): void {
  view.setBigUint64(offset, BigInt(base), true);
  view.setUint16(offset + 8, limit, true);
}
