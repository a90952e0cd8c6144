/**
 * SharedBuffer: the 4-KByte page of one User VM as 16 slots.
 *
 * Threads: the hypervisor, the HSM and clients in other threads each create their own view of the page.
 *
 * Ordering: the slots order themselves (slot.ts). `bytes` is for copies of the page that nobody acts on,
 * which may show a slot in the middle of a change, and for the process that shares the page through
 * /dev/acrn_hsm, which has to load a slot's state first, as ACRN's device model does.
 */

import { PAGE_BYTES, SLOT_COUNT } from './layout.js';
import { Slot } from './slot.js';

export class SharedBuffer {
  readonly page: SharedArrayBuffer;
  /** All bytes of the page, for those that copy or hand them on. Slots are for everything else. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** `slots[n]` belongs to vCPU n. */
  readonly slots: readonly Slot[];

  /** A new page is stamped FREE before anyone sees it; a page that is given (from another thread) is left as it is. */
  constructor(page?: SharedArrayBuffer) {
    this.page = page ?? new SharedArrayBuffer(PAGE_BYTES);
    this.bytes = new Uint8Array(this.page);
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
