/**
 * SharedBuffer: the 4-KiB page of one User VM as 16 slots.
 *
 * Called by: ServiceVm, which creates it; the threads of vCPUs and clients, which view its page.
 * Threads: each vCPU, the HSM and each client in a thread of its own creates its own view.
 *
 * Ordering: the slots order their own accesses (slot.ts). `bytes` has no ordering. It is for
 * snapshots that are only displayed, which may show a slot in the middle of a change. It is also
 * for the process that shares the page through /dev/acrn_hsm. That process has to load a slot's
 * state first, as ACRN's device model does.
 */

import { PAGE_BYTES, SLOT_COUNT } from './layout.js';
import { Slot } from './slot.js';

export class SharedBuffer {
  readonly page: SharedArrayBuffer;
  /** All bytes of the page, to copy or to share them. Use the slots for everything else. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** `slots[n]` belongs to vCPU n. */
  readonly slots: readonly Slot[];

  /**
   * Without `page`, a new one, stamped FREE. A given page is unchanged: the first PAGE_BYTES of a
   * buffer, for example from another thread.
   */
  constructor(page?: SharedArrayBuffer) {
    this.page = page ?? new SharedArrayBuffer(PAGE_BYTES);
    this.bytes = new Uint8Array(this.page, 0, PAGE_BYTES);
    this.slots = Array.from({ length: SLOT_COUNT }, (_, vcpu) => new Slot(this.page, vcpu));
    if (page === undefined) this.stampFree();
  }

  /** All 16 slots to FREE: the hypervisor does this when a page is set and when a VM is reset. */
  stampFree(): void {
    for (const slot of this.slots) slot.stampFree();
  }

  slot(vcpu: number): Slot {
    const slot = this.slots[vcpu];
    if (slot === undefined) throw new RangeError(`vCPU ${vcpu}: a page has slots 0…${SLOT_COUNT - 1}`);
    return slot;
  }
}
