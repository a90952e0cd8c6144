/**
 * The arguments of the ioctls that every client of /dev/acrn_hsm makes, by names instead of
 * offsets. Each function allocates one structure in the caller's memory and fills it. The ioctl
 * takes `IoctlArgument.address`, and the fields show what it wrote.
 *
 * Called by: programs that speak to HsmFile as ACRN's userspace does (examples/acrn-hsm.js).
 *
 * Source: UAPI header `linux/acrn.h`.
 */

import type { MappedMemory } from './address-space.js';
import { IOREQ_NOTIFY, VCPU_REGS, VM_CREATION, VM_MEMMAP, type StructLayout } from './struct-layout.js';
import { StructView } from './struct-view.js';

/** A structure in the caller's memory. */
export class IoctlArgument<Layout extends StructLayout> extends StructView<Layout> {
  readonly address: bigint;

  /** All zero. Throws RangeError if the memory has no room for a mapping. */
  constructor(memory: MappedMemory, layout: Layout) {
    const address = memory.allocate(layout.bytes);
    super(layout, memory.bytes(address, layout.bytes) as Uint8Array<ArrayBuffer>);
    this.address = address;
  }
}

export interface CreateVmOptions {
  /** The page of request slots: a page-aligned address of 4096 bytes. */
  readonly ioreqBuf: bigint;
  /**
   * One bit for each CPU of the machine on which a vCPU may run. The VM has as many vCPUs as bits
   * are set. Default: 0, which leaves their number to the device (HsmDeviceOptions.vcpuCount).
   */
  readonly cpuAffinity?: bigint;
  /** GUEST_FLAG bits. Default: 0. */
  readonly flags?: bigint;
}

/** CREATE_VM, which writes the fields `vmid` and `vcpu_num`. */
export function createVm(memory: MappedMemory, options: CreateVmOptions): IoctlArgument<typeof VM_CREATION> {
  return new IoctlArgument(memory, VM_CREATION)
    .set('ioreq_buf', options.ioreqBuf)
    .set('cpu_affinity', options.cpuAffinity ?? 0)
    .set('vm_flag', options.flags ?? 0);
}

/** What a segment is: ACRN_MEMMAP_RAM or ACRN_MEMMAP_MMIO. */
export const MemoryType = { RAM: 0, MMIO: 1 } as const;
/** Bits of a segment's attributes: what the guest may do (ACRN_MEM_ACCESS_*). */
export const MemoryAccess = { READ: 1, WRITE: 2, EXECUTE: 4 } as const;
const ALL_ACCESS = MemoryAccess.READ | MemoryAccess.WRITE | MemoryAccess.EXECUTE;

export interface MemoryMapOptions {
  /** Guest-physical address, page-aligned. Default: 0. */
  readonly guestAddress?: bigint;
  /** RAM: the caller's address. MMIO: the Service VM's physical address. */
  readonly source: bigint;
  /** In bytes, whole pages. */
  readonly length: number | bigint;
  /** Default: MemoryType.RAM. */
  readonly type?: number;
  /** MemoryAccess bits. Default: read, write, execute. */
  readonly access?: number;
}

/** SET_MEMSEG and UNSET_MEMSEG. */
export function memoryMap(memory: MappedMemory, options: MemoryMapOptions): IoctlArgument<typeof VM_MEMMAP> {
  return new IoctlArgument(memory, VM_MEMMAP)
    .set('type', options.type ?? MemoryType.RAM)
    .set('attr', options.access ?? ALL_ACCESS)
    .set('user_vm_pa', options.guestAddress ?? 0)
    .set('vma_base', options.source)
    .set('len', options.length);
}

/**
 * SET_VCPU_REGS: fields of `struct acrn_regs` by their names in the header, e.g. `rip`, `cs_base`,
 * `gprs.rsi`, `gdt.limit`. Fields that are not named are 0. Throws RangeError for a name that the
 * header does not have, and as IoctlArgument does.
 */
export function vcpuRegs(
  memory: MappedMemory,
  registers: Readonly<Record<string, number | bigint>>,
  vcpu = 0,
): IoctlArgument<StructLayout> {
  const argument = new IoctlArgument<StructLayout>(memory, VCPU_REGS).set('vcpu_id', vcpu);
  for (const [name, value] of Object.entries(registers)) argument.set(`vcpu_regs.${name}`, value);
  return argument;
}

/**
 * The registers of a vCPU in real mode at `cs_base` + `rip`, for `vcpuRegs`. CR0 is ET and NE. CS
 * is a present code segment with all bits of its type set, as ACRN's device model sets it (after a
 * processor's reset it is a data segment).
 */
export const REAL_MODE = { cr0: 0x30, cs_ar: 0x9f, cs_limit: 0xffff } as const;

/** NOTIFY_REQUEST_FINISH, of vCPU `vcpu`. */
export function requestNotification(
  memory: MappedMemory,
  vmid: number,
  vcpu: number,
): IoctlArgument<typeof IOREQ_NOTIFY> {
  return new IoctlArgument(memory, IOREQ_NOTIFY).set('vmid', vmid).set('vcpu', vcpu);
}
