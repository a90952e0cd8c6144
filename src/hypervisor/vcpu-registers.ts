/**
 * VcpuRegisters: the state in which a vCPU starts, as plain data. Boot loaders make it, HC_SET_VCPU_REGS carries it. All
 * numbers are unsigned and have at most 32 bits: there is no long mode. Whoever makes it sees to it that the state is one
 * that a CPU can be in; a start has privilege level 0.
 */

export interface SegmentStart {
  readonly selector: number;
  /** Real mode: selector × 16 unless given; protected mode: 0. */
  readonly base?: number;
  /** The last offset: 64 KiB in real mode unless given, 4 GiB in protected mode. */
  readonly limit?: number;
  /** As in a descriptor from its sixth byte on: type, S, DPL and P, then D/B in bit 14. Present code or data unless given. */
  readonly attributes?: number;
}

export interface DescriptorTable {
  readonly base: number;
  readonly limit: number;
}

export interface VcpuRegisters {
  /** What is left out below is as in real mode, or as in flat 32-bit protected mode without paging. */
  readonly mode: 'real' | 'flat-32';
  /** Offset in CS. */
  readonly ip: number;
  /** Only bit 1 unless given: interrupts are off. */
  readonly flags?: number;
  /** 0 unless given, as are the other seven. */
  readonly eax?: number;
  readonly ebx?: number;
  readonly ecx?: number;
  readonly edx?: number;
  readonly esi?: number;
  readonly edi?: number;
  readonly esp?: number;
  readonly ebp?: number;
  readonly cs: SegmentStart;
  /** DS; and ES, FS, GS and SS, each of which is like DS unless given. */
  readonly ds: SegmentStart;
  readonly es?: SegmentStart;
  readonly fs?: SegmentStart;
  readonly gs?: SegmentStart;
  readonly ss?: SegmentStart;
  /** The loaded GDT, if the guest relies on one from its first instruction (Linux' boot protocol does). */
  readonly gdt?: DescriptorTable;
  readonly idt?: DescriptorTable;
  /** Local descriptor table and task: a selector, and what the CPU keeps of its descriptor. A task is a busy 32-bit one. */
  readonly ldt?: SegmentStart;
  readonly task?: SegmentStart;
  /** Unless given as at power-on, in protected mode with PE and ET alone. They must fit `mode`. */
  readonly cr0?: number;
  readonly cr3?: number;
  readonly cr4?: number;
}
