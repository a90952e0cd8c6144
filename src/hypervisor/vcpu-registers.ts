/**
 * VcpuRegisters: the state in which a vCPU starts, as plain data. Boot loaders create it, and
 * HC_SET_VCPU_REGS carries it. All numbers are unsigned, of at most 32 bits, also in 64-bit mode.
 *
 * Called by: the boot loaders (boot/), and acrn-hsm/ for the ioctl SET_VCPU_REGS.
 * Callers must: give a state that a CPU can be in, at privilege level 0.
 */

export interface SegmentRegister {
  readonly selector: number;
  /** Default: selector × 16 in real mode, 0 in protected mode. */
  readonly base?: number;
  /** In bytes, inclusive. Default: 0xffff in real mode, 0xffffffff in protected mode. */
  readonly limit?: number;
  /**
   * Access rights in VMX's format (Intel SDM, volume 3, "Guest Register State"): type in bits 0 to
   * 3, S, DPL, P, then D/B in bit 14, G in bit 15, unusable in bit 16. Default: present code or
   * data.
   */
  readonly attributes?: number;
}

export interface DescriptorTable {
  /** Linear address. */
  readonly base: number;
  /** In bytes, inclusive. */
  readonly limit: number;
}

export interface VcpuRegisters {
  /**
   * Selects the defaults below: real mode, flat 32-bit protected mode without paging, or 64-bit
   * mode, which needs `cr3` and a hypervisor that has it (Hypervisor.longMode).
   */
  readonly mode: 'real' | 'flat-32' | 'long-64';
  /** Offset in CS. */
  readonly ip: number;
  /** Default: only bit 1, interrupts off. */
  readonly flags?: number;
  /** Default: 0, as for the other seven. */
  readonly eax?: number;
  readonly ebx?: number;
  readonly ecx?: number;
  readonly edx?: number;
  readonly esi?: number;
  readonly edi?: number;
  readonly esp?: number;
  readonly ebp?: number;
  readonly cs: SegmentRegister;
  /** DS, which is also the default of ES, FS, GS and SS. */
  readonly ds: SegmentRegister;
  readonly es?: SegmentRegister;
  readonly fs?: SegmentRegister;
  readonly gs?: SegmentRegister;
  readonly ss?: SegmentRegister;
  /**
   * The loaded GDT, if the guest relies on one from its first instruction (Linux' boot protocol
   * does).
   */
  readonly gdt?: DescriptorTable;
  readonly idt?: DescriptorTable;
  /**
   * LDTR and TR: the selector, and the hidden part that the CPU caches from the descriptor. TR is a
   * busy 32-bit TSS.
   */
  readonly ldtr?: SegmentRegister;
  readonly tr?: SegmentRegister;
  /**
   * Default: the reset value; in protected mode PE and ET, in 64-bit mode PG too. They must agree
   * with `mode`.
   */
  readonly cr0?: number;
  readonly cr3?: number;
  /** Default: the reset value; in 64-bit mode PAE. */
  readonly cr4?: number;
}
