/** SharedBuffer: the 4-KByte page of one User VM as 16 slots. The hypervisor, the HSM and clients in other threads each make their own view of the same memory. */

import { PAGE_BYTES, SLOT_COUNT } from './layout.js';
import { Slot } from './slot.js';

export class SharedBuffer {
  readonly page: SharedArrayBuffer;
  /** `slots[n]` belongs to vCPU n. */
  readonly slots: readonly Slot[];

  /** A new page is stamped FREE before anyone sees it; a page that is given (from another thread) is left as it is. */
  constructor(page?: SharedArrayBuffer) {
    this.page = page ?? new SharedArrayBuffer(PAGE_BYTES);
    this.slots = Array.from({ length: SLOT_COUNT }, (_, vcpu) => new Slot(this.page, vcpu));
    if (page === undefined) this.stampFree();
  }

  /** All 16 slots to FREE: the hypervisor's part when a page is set (T1) and when a VM is reset (T11). */
  stampFree(): void {
    for (const slot of this.slots) slot.stampFree();
  }

  slot(vcpu: number): Slot {
    const slot = this.slots[vcpu];
    if (slot === undefined) throw new RangeError(`vCPU ${vcpu}: a page has slots 0…${SLOT_COUNT - 1}`);
    return slot;
  }
}
