/**
 * MemorySegments: SET_MEMSEG and UNSET_MEMSEG. The guest's RAM is where its hypervisor allocated
 * it. A RAM segment therefore copies the caller's bytes there and maps that memory at the caller's
 * addresses, which is the same for both sides.
 */

import type { GuestMemory } from '../hypervisor/guest-memory.js';
import type { AddressSpace } from './address-space.js';
import { Errno } from '../io-request/errno.js';
import type { Hardware } from './hardware.js';
import type { VM_MEMMAP } from './struct-layout.js';
import type { StructView } from './struct-view.js';

const RAM = 0;
const MMIO = 1;
const PAGE_SHIFT = 12n;
const PAGE_MASK = 0xfffn;
/** The driver's own limit: RAM segments of one VM. */
export const MAX_RAM_SEGMENTS = 256;

export class MemorySegments {
  readonly #vmId: number;
  readonly #memory: GuestMemory;
  readonly #caller: AddressSpace;
  readonly #hardware: Hardware;
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

  unset(map: StructView<typeof VM_MEMMAP>): number {
    return map.number('type') === MMIO ? this.#hardware('unmap-mmio', this.#vmId, map.bytes) : Errno.EINVAL;
  }

  #mapRam(map: StructView<typeof VM_MEMMAP>): number {
    const bytes = (map.big('len') >> PAGE_SHIFT) << PAGE_SHIFT;
    if (bytes === 0n) return Errno.EINVAL;
    const guest = map.big('user_vm_pa');
    const isInRam = (guest & PAGE_MASK) === 0n && guest + bytes <= BigInt(this.#memory.size);
    // The driver's order: it pins the pages, then records them, then calls the hypervisor.
    if (!isMapped(this.#caller, map.big('vma_base'), bytes)) return Errno.EFAULT;
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

/** Checks each page, as pinning does. */
function isMapped(caller: AddressSpace, address: bigint, bytes: bigint): boolean {
  const probe = new Uint8Array(1);
  const last = address + bytes - 1n;
  for (let at = address; at <= last; at += 1n << PAGE_SHIFT) if (!caller.read(at, probe)) return false;
  return caller.read(last, probe);
}
