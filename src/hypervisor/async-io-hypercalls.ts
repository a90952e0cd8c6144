/**
 * AsyncIoHypercalls: the hypercalls of a hypervisor that completes writes by itself and sends VM
 * events.
 *
 * Called by: hsm/async-io.ts. Implementation: async-io.ts.
 */

import type { SharedRing } from '../sync/shared-ring.js';

/** HC_SETUP_SBUF's ring numbers. */
export const RingId = { ASYNC_IO: 64, VM_EVENT: 65 } as const;
export type RingId = (typeof RingId)[keyof typeof RingId];

/** `vm_event` types. */
export const VmEventType = { RTC_CHANGED: 0, POWER_OFF: 1, TRIPLE_FAULT: 2 } as const;

/** A write that the hypervisor completes itself (`acrn_asyncio_info`). */
export interface AsyncIoDescriptor {
  readonly isPort: boolean;
  readonly address: bigint;
  /** Default: any value. */
  readonly data?: bigint;
  /** The vCPU puts it into the ring: a number of the Service VM's choice, not 0. */
  readonly handle: number;
}

export interface AsyncIoHypercalls {
  /** HC_SETUP_SBUF: `page` is what its owner prepared. From now on the ring lies in `ringBytes`. */
  setupRing(id: RingId, page: Uint8Array): number;
  ringBytes(id: RingId): Uint8Array<SharedArrayBuffer>;
  ring(id: RingId): SharedRing | undefined;
  /** HC_ASYNCIO_ASSIGN and HC_ASYNCIO_DEASSIGN: 0 even when nothing was done, as in ACRN. */
  assignAsyncIo(descriptor: AsyncIoDescriptor): number;
  deassignAsyncIo(descriptor: AsyncIoDescriptor): number;
  /**
   * A VM event with at most 28 bytes of data. ACRN has no such hypercall: its hypervisor has a VM's
   * clock and power register itself. Here they are devices of the Service VM. Returns false if
   * there is no ring, or no place in it.
   */
  sendEvent(type: number, data?: Uint8Array): boolean;
}
