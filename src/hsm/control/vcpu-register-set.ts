/**
 * SET_VCPU_REGS: from `struct acrn_vcpu_regs` to the registers that our hypervisors start with. They start in real mode,
 * or in flat 32-bit protected mode without paging; anything else is what the hypervisor refuses.
 */

import type { VcpuRegisters } from '../../hypervisor/vcpu-registers.js';
import type { VCPU_REGS } from './struct-layout.js';
import type { StructView } from './struct-view.js';

const PROTECTED_MODE = 1n;
const NOT_WRITE_THROUGH = 1n << 29n;
const CACHE_DISABLE = 1n << 30n;
const PAGING = 1n << 31n;
const WHOLE_SEGMENT = 0xffff_ffff;
const REAL_MODE_SEGMENT = 0xffff;

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

/** Undefined: the hypervisor refuses. */
export function decodeRegisters(regs: StructView<typeof VCPU_REGS>): VcpuRegisters | undefined {
  const big = (name: string): bigint => regs.big(`vcpu_regs.${name}`);
  const low = (name: string): number => regs.number(`vcpu_regs.${name}`);
  const cr0 = big('cr0');
  const isIllegal = (cr0 & PAGING) !== 0n || ((cr0 & NOT_WRITE_THROUGH) !== 0n && (cr0 & CACHE_DISABLE) === 0n);
  if (isIllegal || cr0 >> 32n !== 0n || big('cr4') !== 0n || big('ia32_efer') !== 0n) return undefined;
  const isProtected = (cr0 & PROTECTED_MODE) !== 0n;
  const base = big('cs_base');
  if (isProtected && (base !== 0n || low('cs_limit') !== WHOLE_SEGMENT)) return undefined;
  if (base > 0xffff_ffffn || big('rip') > BigInt(isProtected ? WHOLE_SEGMENT : REAL_MODE_SEGMENT)) return undefined;
  const limit = low('gdt.limit');
  return {
    mode: isProtected ? 'flat-32' : 'real',
    ip: low('rip'),
    eax: low('gprs.rax'),
    ebx: low('gprs.rbx'),
    ecx: low('gprs.rcx'),
    edx: low('gprs.rdx'),
    esi: low('gprs.rsi'),
    edi: low('gprs.rdi'),
    esp: low('gprs.rsp'),
    ebp: low('gprs.rbp'),
    cs: { selector: low('cs_sel'), ...(isProtected ? {} : { base: Number(base) }) },
    ds: { selector: low('ds_sel') },
    ...(isProtected && limit !== 0 ? { gdt: { base: low('gdt.base'), limit } } : {}),
  };
}
