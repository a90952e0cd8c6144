/**
 * MemorySegments: the ioctls SET_MEMSEG and UNSET_MEMSEG, which map memory into a VM's guest
 * physical address space.
 *
 * Called by: HsmFile; IoctlVm creates it. Results are 0 or −errno; for MMIO, those of `hardware`.
 *
 * The driver pins the caller's pages and gives them to the guest as RAM. Here the guest's RAM is
 * where its hypervisor allocated it. So a RAM segment copies the caller's bytes into that RAM, and
 * from then on that RAM is mapped at the caller's addresses (AddressSpace.share). Caller and guest
 * share the memory, as in the driver. Segments may overlap: their bytes are then the same RAM. The
 * access rights in `attr` are ignored: the guest may read, write and execute all RAM.
 */

import type { GuestMemory } from '../hypervisor/guest-memory.js';
import type { AddressSpace } from './address-space.js';
import { Errno } from '../io-request/errno.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { Hardware } from './hardware.js';
import type { VM_MEMMAP } from './struct-layout.js';
import type { StructView } from './struct-view.js';

/** Types of a segment. */
const RAM = 0;
const MMIO = 1;
const PAGE_SHIFT = 12n;
const PAGE_MASK = 0xfffn;
const MIB = 1n << 20n;
/** RAM segments of one VM: the driver's own limit. */
export const MAX_RAM_SEGMENTS = 256;

export interface MemorySegmentsParts {
  readonly vmId: number;
  readonly memory: GuestMemory;
  readonly caller: AddressSpace;
  readonly hardware: Hardware;
  /** See HsmDeviceOptions.onRefused. */
  readonly onRefused: (error: UpcallError) => void;
}

export class MemorySegments {
  readonly #parts: MemorySegmentsParts;
  /** RAM segments so far. */
  #count = 0;

  constructor(parts: MemorySegmentsParts) {
    this.#parts = parts;
  }

  /** SET_MEMSEG. A length that is not whole pages is rounded down, as in the driver. */
  set(map: StructView<typeof VM_MEMMAP>): number {
    const type = map.number('type');
    if (type === RAM) return this.#mapRam(map);
    return type === MMIO ? this.#parts.hardware('map-mmio', this.#parts.vmId, map.bytes) : Errno.EINVAL;
  }

  /** UNSET_MEMSEG. As in the driver, RAM cannot be unset: it stays until the VM ends. */
  unset(map: StructView<typeof VM_MEMMAP>): number {
    return map.number('type') === MMIO ? this.#parts.hardware('unmap-mmio', this.#parts.vmId, map.bytes) : Errno.EINVAL;
  }

  #mapRam(map: StructView<typeof VM_MEMMAP>): number {
    const { memory, caller, onRefused } = this.#parts;
    const bytes = (map.big('len') >> PAGE_SHIFT) << PAGE_SHIFT;
    if (bytes === 0n) return Errno.EINVAL;
    const guest = map.big('user_vm_pa');
    const isInRam = (guest & PAGE_MASK) === 0n && guest + bytes <= BigInt(memory.size);
    // The driver's order: it pins the pages, then records them, then calls the hypervisor.
    if (!caller.isMapped(map.big('vma_base'), bytes)) return Errno.EFAULT;
    if (this.#count >= MAX_RAM_SEGMENTS) return Errno.ENOMEM;
    if (!isInRam) {
      onRefused(outsideOfRam(guest, bytes, memory.size));
      return Errno.EPERM;
    }
    const start = Number(guest);
    const target = memory.bytes.subarray(start, start + Number(bytes));
    const written = (offset: number, length: number): void => memory.written(start + offset, length);
    // It can refuse what is mapped, too: at a limit, or at an address that is not that of a page.
    if (!caller.share(map.big('vma_base'), target, written)) return Errno.EFAULT;
    this.#count++;
    return 0;
  }
}

function outsideOfRam(guest: bigint, bytes: bigint, size: number): UpcallError {
  if ((guest & PAGE_MASK) !== 0n)
    return new UpcallError('VM_LIMIT', `SET_MEMSEG at 0x${guest.toString(16)}, which is not the address of a page`);
  const what = `SET_MEMSEG of ${bytes / MIB} MiB at 0x${guest.toString(16)} is outside of the VM's RAM of ${BigInt(size) / MIB} MiB`;
  return new UpcallError('VM_LIMIT', what, {
    remedy: 'Give the VM more memory: --memory, HsmDeviceOptions.memoryBytes',
  });
}
