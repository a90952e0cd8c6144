/**
 * AsyncIoHypercalls: what the Service VM may ask of a hypervisor that completes writes by itself and sends VM events.
 * async-io.ts is how ours does it; hsm/async-io.ts is who asks.
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
  /** Any value when left out. */
  readonly data?: bigint;
  /** What the vCPU puts into the ring: a number of the Service VM's choice, not 0. */
  readonly handle: number;
}

/** What a hypervisor offers that can complete writes by itself and send VM events. */
export interface AsyncIoHypercalls {
  /** HC_SETUP_SBUF: `page` is what its owner prepared; from now on the ring lies in `ringBytes`. */
  setupRing(id: RingId, page: Uint8Array): number;
  ringBytes(id: RingId): Uint8Array<SharedArrayBuffer>;
  ring(id: RingId): SharedRing | undefined;
  /** HC_ASYNCIO_ASSIGN and HC_ASYNCIO_DEASSIGN: 0 even when nothing was done, as in ACRN. */
  assignAsyncIo(descriptor: AsyncIoDescriptor): number;
  deassignAsyncIo(descriptor: AsyncIoDescriptor): number;
  /**
   * A VM event with at most 28 bytes of data. No hypercall of ACRN's, whose hypervisor has a VM's clock and power register
   * itself; here they are devices of the Service VM. False when there is no ring, or no place in it.
   */
  sendEvent(type: number, data?: Uint8Array): boolean;
}
