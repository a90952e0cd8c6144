/**
 * VcpuRegisters: where and in which mode a vCPU starts, as plain data. Boot loaders make it, HC_SET_VCPU_REGS carries it.
 * Fields follow `struct acrn_regs`; whatever is left out is 0 (rflags: 2).
 */

export interface SegmentStart {
  readonly selector: number;
  /** Real mode: selector × 16 unless given; protected mode: flat segments, base 0 and 4 GiB. */
  readonly base?: number;
}

export interface VcpuRegisters {
  /** Real mode, or flat 32-bit protected mode without paging, interrupts off. */
  readonly mode: 'real' | 'flat-32';
  /** Offset in CS. */
  readonly ip: number;
  readonly eax?: number;
  readonly ebx?: number;
  readonly ecx?: number;
  readonly edx?: number;
  readonly esi?: number;
  readonly edi?: number;
  readonly esp?: number;
  readonly ebp?: number;
  readonly cs: SegmentStart;
  /** DS, ES, FS, GS and SS. */
  readonly ds: SegmentStart;
  /** The loaded GDT, if the guest relies on one from its first instruction (Linux' boot protocol does). */
  readonly gdt?: { readonly base: number; readonly limit: number };
}
