/**
 * SET_VCPU_REGS: decodes `struct acrn_vcpu_regs` to VcpuRegisters, as ACRN's `set_vcpu_regs` does.
 * The structure has all of CS, and of the other segments the selectors. Those have base 0, whatever
 * the selector. SS, DS, ES, FS and GS have the limit of the mode: 4 GiB or 64 KiB.
 *
 * Called by: HsmFile, for the ioctl SET_VCPU_REGS; refused-ioctls.ts, for the reserved fields.
 *
 * ACRN checks CR0 and CR4 alone. Any other invalid state makes its VM fail at start. Here such
 * states are refused, and so is what the CPU emulator (v86) lacks: long mode, and extensions that
 * its CPUID does not report.
 */

import type { SegmentRegister, VcpuRegisters } from '../hypervisor/vcpu-registers.js';
import type { VCPU_REGS } from './struct-layout.js';
import type { StructView } from './struct-view.js';

const MAX_U32 = 0xffff_ffffn;

/** The bits of CR0 that may be set: PE, MP, EM, TS, ET, NE; WP, AM; NW, CD, PG. */
const CR0_BITS = 0xe005_003fn;
const PROTECTED_MODE = 1n;
const NOT_WRITE_THROUGH = 1n << 29n;
const CACHE_DISABLE = 1n << 30n;
const PAGING = 1n << 31n;
/** The bits of CR4 that may be set: TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT. */
const CR4_BITS = 0x7fcn;

/** Bit 1, which is always 1. */
const FLAGS_FIXED = 2n;
/** CF, PF, AF, ZF, SF, OF: ACRN clears them. */
const FLAGS_OF_RESULTS = 0x8d5n;
/**
 * The bits of EFLAGS that may be set: those above, and IF, DF, IOPL, NT, RF, AC, ID. Not TF, which
 * the CPU emulator lacks. Not VM, which needs bases of segments that the structure does not have.
 */
const FLAGS_BITS = 0x0025_7600n | FLAGS_OF_RESULTS | FLAGS_FIXED;

/**
 * `cs_ar`, in VMX's format of access rights: type, S, DPL and P as in a descriptor, D in bit 14, G
 * in bit 15, and bit 16 for a segment that may not be used. PRESENT_SEGMENT is P and S.
 */
const PRESENT_SEGMENT = 0x90;
const PRIVILEGE = 0x60;
const TYPE = 0x0f;
const ACCESSED_CODE = 0x09;
/** Read and write, accessed: CS as it is after a reset, which real mode keeps. */
const DATA_TYPE = 0x03;
const GRANULARITY = 1 << 15;
const SEGMENT_UNUSABLE = 1 << 16;
const PAGE_OFFSET = 0xfff;
/** Largest limit in bytes. A larger one counts pages: its low 12 bits are ones. */
const LARGEST_OF_BYTES = 0xf_ffff;
const REAL_MODE_LIMIT = 0xffff;
/** TI: the selector refers to the LDT. Those of LDTR and TR must refer to the GDT. */
const LOCAL_SELECTOR = 4;

const RESERVED = [
  'reserved',
  'vcpu_regs.reserved_32',
  'vcpu_regs.reserved_64',
  'vcpu_regs.gdt.reserved',
  'vcpu_regs.idt.reserved',
];

/** The driver's own check: every reserved field is 0. */
export function hasReservedBits(regs: StructView<typeof VCPU_REGS>): boolean {
  return RESERVED.some((name) => !regs.isZero(name));
}

/**
 * The registers of the structure. Undefined for an invalid state, or one that needs what the CPU
 * emulator lacks.
 */
export function decodeRegisters(regs: StructView<typeof VCPU_REGS>): VcpuRegisters | undefined {
  const big = (name: string): bigint => regs.big(`vcpu_regs.${name}`);
  const low = (name: string): number => regs.number(`vcpu_regs.${name}`);
  const exceeds32Bits = ['rip', 'cs_base', 'cr3', 'gdt.base', 'idt.base'].some((name) => big(name) > MAX_U32);
  const flags = big('rflags') === 0n ? FLAGS_FIXED : big('rflags');
  const cs = { selector: low('cs_sel'), base: low('cs_base'), limit: low('cs_limit'), attributes: low('cs_ar') };
  const isProtected = (big('cr0') & PROTECTED_MODE) !== 0n;
  if (
    exceeds32Bits ||
    !areControlRegistersValid(big('cr0'), big('cr4')) ||
    big('ia32_efer') !== 0n ||
    !isFlagsValid(flags)
  )
    return undefined;
  if (!isCodeSegment(cs, isProtected) || low('rip') > cs.limit) return undefined;
  if (((low('ldt_sel') | low('tr_sel')) & LOCAL_SELECTOR) !== 0) return undefined;
  const flat = (name: string): SegmentRegister => ({
    selector: low(name),
    base: 0,
    ...(isProtected ? {} : { limit: REAL_MODE_LIMIT }),
  });
  const system = (name: string): SegmentRegister => ({ selector: low(name), base: 0, limit: 0xffff });
  return {
    mode: isProtected ? 'flat-32' : 'real',
    ip: low('rip'),
    flags: Number(flags & ~FLAGS_OF_RESULTS),
    eax: low('gprs.rax'),
    ebx: low('gprs.rbx'),
    ecx: low('gprs.rcx'),
    edx: low('gprs.rdx'),
    esi: low('gprs.rsi'),
    edi: low('gprs.rdi'),
    esp: low('gprs.rsp'),
    ebp: low('gprs.rbp'),
    cs,
    ds: flat('ds_sel'),
    es: flat('es_sel'),
    fs: flat('fs_sel'),
    gs: flat('gs_sel'),
    ss: flat('ss_sel'),
    gdt: { base: low('gdt.base'), limit: low('gdt.limit') },
    idt: { base: low('idt.base'), limit: low('idt.limit') },
    ldtr: system('ldt_sel'),
    tr: system('tr_sel'),
    cr0: low('cr0'),
    cr3: low('cr3'),
    cr4: low('cr4'),
  };
}

function areControlRegistersValid(cr0: bigint, cr4: bigint): boolean {
  const isPagingWithoutProtection = (cr0 & PAGING) !== 0n && (cr0 & PROTECTED_MODE) === 0n;
  const isNotWriteThroughWithoutDisable = (cr0 & NOT_WRITE_THROUGH) !== 0n && (cr0 & CACHE_DISABLE) === 0n;
  return (
    (cr0 & ~CR0_BITS) === 0n &&
    (cr4 & ~CR4_BITS) === 0n &&
    !isPagingWithoutProtection &&
    !isNotWriteThroughWithoutDisable
  );
}

function isFlagsValid(flags: bigint): boolean {
  return (flags & ~FLAGS_BITS) === 0n && (flags & FLAGS_FIXED) !== 0n;
}

/**
 * Intel SDM, volume 3, "Checks on Guest Segment Registers", except that bits 8 to 11 may be
 * set: the manual requires 0, and ACRN's device model sets them. SS.DPL is 0, so CS.DPL must be 0,
 * conforming or not.
 */
function isCodeSegment({ limit, attributes }: Required<SegmentRegister>, isProtected: boolean): boolean {
  const type = attributes & TYPE;
  const isCode = (type & ACCESSED_CODE) === ACCESSED_CODE || (type === DATA_TYPE && !isProtected);
  const isPresent = (attributes & PRESENT_SEGMENT) === PRESENT_SEGMENT && (attributes & SEGMENT_UNUSABLE) === 0;
  const isLimitValid =
    (attributes & GRANULARITY) === 0 ? limit <= LARGEST_OF_BYTES : (limit & PAGE_OFFSET) === PAGE_OFFSET;
  return isCode && isPresent && (attributes & PRIVILEGE) === 0 && isLimitValid;
}
