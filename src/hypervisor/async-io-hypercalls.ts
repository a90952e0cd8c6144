/**
 * AsyncIoHypercalls: the hypercalls of a hypervisor that completes writes by itself and sends VM
 * events.
 *
 * Called by: the Service VM. acrn-hsm/ioctl-vm.ts sets up the rings, and vm/card-doorbells.ts the
 * ring for kicks of a VM without ioctls. hsm/async-io.ts assigns descriptors and takes the kicks,
 * hsm/acrn-vm-events.ts sends and takes events. In a vCPU's thread power-off.ts sends TRIPLE_FAULT.
 * Implementation: async-io.ts.
 */

import type { SharedRing } from '../sync/shared-ring.js';

/** HC_SETUP_SBUF's ring numbers. */
export const RingId = { ASYNC_IO: 64, VM_EVENT: 65 } as const;
export type RingId = (typeof RingId)[keyof typeof RingId];

/** `vm_event` types. */
export const VmEventType = { RTC_CHANGED: 0, POWER_OFF: 1, TRIPLE_FAULT: 2 } as const;

/** A write that the hypervisor completes itself (`acrn_asyncio_info`). */
export interface AsyncIoDescriptor {
  /** A port, or else a guest physical address. */
  readonly isPort: boolean;
  readonly address: bigint;
  /** Default: any value. */
  readonly data?: bigint;
  /** What the vCPU puts into the ring: a positive int32 that the Service VM chooses. */
  readonly handle: number;
  /**
   * An eventfd of this process, which may be signalled instead of putting the handle into the ring.
   * Default: only the ring is used. Not compared.
   */
  readonly fd?: number;
}

/** An eventfd for a descriptor: its writes are counted there and not in the ring. */
export interface WriteEvent {
  readonly fd: number;
  /** After its descriptor was deassigned. There are no callbacks any more. */
  close(): void;
}

export interface AsyncIoHypercalls {
  /**
   * HC_SETUP_SBUF: `page` is an empty ring that its owner prepared. It is copied to `ringBytes`,
   * where the ring lies from now on. ASYNC_IO also removes all descriptors. Returns 0, or
   * HYPERCALL_REFUSED if the page is not a ring of elements of this ring's size.
   */
  setupRing(id: RingId, page: Uint8Array): number;
  /** The page of the ring, whether it is set up or not. */
  ringBytes(id: RingId): Uint8Array<SharedArrayBuffer>;
  /** For the consumer. Undefined until the ring is set up. */
  ring(id: RingId): SharedRing | undefined;
  /** HC_ASYNCIO_ASSIGN and HC_ASYNCIO_DEASSIGN: 0 even when nothing was done, as in ACRN. */
  assignAsyncIo(descriptor: AsyncIoDescriptor): number;
  deassignAsyncIo(descriptor: AsyncIoDescriptor): number;
  /**
   * A new event for AsyncIoDescriptor.fd. Returns undefined if the hypervisor completes no writes
   * by eventfds, or if there can be no more. Left out: the same.
   */
  createEvent?(onWrites: (count: number) => void): WriteEvent | undefined;
  /**
   * Calls back now for the events of `createEvent` that were written to. The event loop does so,
   * too, and later.
   */
  drainEvents?(): void;
  /**
   * A VM event with at most 28 bytes of data. ACRN has no such hypercall: its hypervisor has a VM's
   * clock and power register itself. Here they are devices of the Service VM. Returns false if the
   * ring is not set up, full, corrupt, or locked for too long.
   */
  sendEvent(type: number, data?: Uint8Array): boolean;
}
