/**
 * MemorySegments: the ioctls SET_MEMSEG and UNSET_MEMSEG, which map memory into a VM's guest
 * physical address space.
 *
 * Called by: HsmFile. Results are 0 or −errno.
 *
 * The driver pins the caller's pages and gives them to the guest as RAM. Here the guest's RAM is
 * where its hypervisor allocated it. So a RAM segment copies the caller's bytes into that RAM, and
 * from then on the RAM stands at the caller's addresses (AddressSpace.share). Caller and guest
 * share the memory, as in the driver.
 */

import type { GuestMemory } from '../hypervisor/guest-memory.js';
import type { AddressSpace } from './address-space.js';
import { Errno } from '../io-request/errno.js';
import type { Hardware } from './hardware.js';
import type { VM_MEMMAP } from './struct-layout.js';
import type { StructView } from './struct-view.js';

/** Types of a segment. */
const RAM = 0;
const MMIO = 1;
const PAGE_SHIFT = 12n;
const PAGE_MASK = 0xfffn;
/** RAM segments of one VM: the driver's own limit. */
export const MAX_RAM_SEGMENTS = 256;

export class MemorySegments {
  readonly #vmId: number;
  readonly #memory: GuestMemory;
  readonly #caller: AddressSpace;
  readonly #hardware: Hardware;
  /** RAM segments so far. */
  #count = 0;

  constructor(vmId: number, memory: GuestMemory, caller: AddressSpace, hardware: Hardware) {
    this.#vmId = vmId;
    this.#memory = memory;
    this.#caller = caller;
    this.#hardware = hardware;
  }

  set(map: StructView<typeof VM_MEMMAP>): number {
    const type = map.number('type');
    if (type === RAM) return this.#mapRam(map);
    return type === MMIO ? this.#hardware('map-mmio', this.#vmId, map.bytes) : Errno.EINVAL;
  }

  /** As in the driver, RAM cannot be unset: it stays until the VM ends. */
  unset(map: StructView<typeof VM_MEMMAP>): number {
    return map.number('type') === MMIO ? this.#hardware('unmap-mmio', this.#vmId, map.bytes) : Errno.EINVAL;
  }

  #mapRam(map: StructView<typeof VM_MEMMAP>): number {
    const bytes = (map.big('len') >> PAGE_SHIFT) << PAGE_SHIFT;
    if (bytes === 0n) return Errno.EINVAL;
    const guest = map.big('user_vm_pa');
    const isInRam = (guest & PAGE_MASK) === 0n && guest + bytes <= BigInt(this.#memory.size);
    // The driver's order: it pins the pages, then records them, then calls the hypervisor.
    if (!this.#caller.isMapped(map.big('vma_base'), bytes)) return Errno.EFAULT;
    if (this.#count >= MAX_RAM_SEGMENTS) return Errno.ENOMEM;
    if (!isInRam) return Errno.EPERM;
    const start = Number(guest);
    const target = this.#memory.bytes.subarray(start, start + Number(bytes));
    const written = (offset: number, length: number): void => this.#memory.written(start + offset, length);
    if (!this.#caller.share(map.big('vma_base'), target, written)) return Errno.EFAULT;
    this.#count++;
    return 0;
  }
}
