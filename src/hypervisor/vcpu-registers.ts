/**
 * VcpuRegisters: the state in which a vCPU starts, as plain data. Boot loaders create it, and
 * HC_SET_VCPU_REGS carries it. All numbers are unsigned, of at most 32 bits: there is no long mode.
 *
 * Callers must: give a state that a CPU can be in, at privilege level 0.
 */

export interface SegmentStart {
  readonly selector: number;
  /** Default: selector × 16 in real mode, 0 in protected mode. */
  readonly base?: number;
  /** The last offset. Default: that of 64 KiB in real mode, of 4 GiB in protected mode. */
  readonly limit?: number;
  /**
   * As in a descriptor from its sixth byte on: type, S, DPL and P, then D/B in bit 14. Default:
   * present code or data.
   */
  readonly attributes?: number;
}

export interface DescriptorTable {
  readonly base: number;
  readonly limit: number;
}

export interface VcpuRegisters {
  /** Selects the defaults below: real mode, or flat 32-bit protected mode without paging. */
  readonly mode: 'real' | 'flat-32';
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
  readonly cs: SegmentStart;
  /** DS, which is also the default of ES, FS, GS and SS. */
  readonly ds: SegmentStart;
  readonly es?: SegmentStart;
  readonly fs?: SegmentStart;
  readonly gs?: SegmentStart;
  readonly ss?: SegmentStart;
  /**
   * The loaded GDT, if the guest relies on one from its first instruction (Linux' boot protocol
   * does).
   */
  readonly gdt?: DescriptorTable;
  readonly idt?: DescriptorTable;
  /**
   * Local descriptor table and task: a selector, and what the CPU keeps of its descriptor. A task
   * is a busy 32-bit one.
   */
  readonly ldt?: SegmentStart;
  readonly task?: SegmentStart;
  /** Default: as at power-on, in protected mode with PE and ET alone. They must fit `mode`. */
  readonly cr0?: number;
  readonly cr3?: number;
  readonly cr4?: number;
}
