/**
 * AsyncIoEvents: the HSM's side of asynchronous I/O. The hypervisor completes a guest's write
 * itself and puts a handle into a ring. The next pass of the worker signals the handle's event.
 *
 * Called by: the control interface and vm/card-doorbells.ts (`assign`, `deassign`); the worker, as
 * SideWork of a pass (pending-work.ts).
 * Threads: the Service VM's.
 *
 * In ACRN's kernel the ring holds kernel pointers, although userspace can write it. Here it holds
 * numbers. A number that was never issued, or was revoked, signals nothing.
 */

import { Errno } from '../io-request/errno.js';
import { RingId, type AsyncIoHypercalls } from '../hypervisor/async-io-hypercalls.js';
import { RingResult } from '../sync/shared-ring.js';
import type { EventObject } from './event-object.js';
import type { IoEventRequest } from './ioeventfd.js';
import type { SideWork } from './pending-work.js';

/** Maximum number of events with a handle in one VM: the number of the hypervisor's descriptors. */
export const MAX_ASYNC_EVENTS = 64;
/**
 * At most this many handles are taken in one pass, however fast the guest adds more. A ring has
 * fewer elements: 504.
 */
const MAX_TAKEN = 512;
// Handles are not used again: one in the ring may be older than its revocation.
const FIRST_HANDLE = 1;
const LAST_HANDLE = 0x7fff_ffff;

interface Registration {
  readonly event: EventObject;
  readonly handle: number;
  /**
   * Calls of `assign` without their `deassign`. A descriptor that the hypervisor refused as a
   * conflict counts as well, because its `deassign` counts it down.
   */
  uses: number;
}

export class AsyncIoEvents implements SideWork {
  readonly #hypercalls: AsyncIoHypercalls;
  readonly #byHandle = new Map<number, Registration>();
  readonly #byEvent = new Map<EventObject, Registration>();
  /** The element that was taken last: a u64, which is the handle. */
  readonly #element = new Int32Array(2);
  #nextHandle = FIRST_HANDLE;

  constructor(hypercalls: AsyncIoHypercalls) {
    this.#hypercalls = hypercalls;
  }

  /** Whether ACRN userspace has set up the ring. */
  get isSetUp(): boolean {
    return this.#ring !== undefined;
  }

  /**
   * Returns −ENODEV without a ring, −ENOMEM at MAX_ASYNC_EVENTS or if no handle is left, and
   * otherwise the result of the hypercall. A descriptor that conflicts with an earlier one is not
   * an error: the hypercall ignores it and returns 0, as in ACRN.
   */
  assign(request: IoEventRequest, event: EventObject): number {
    if (this.#ring === undefined) return Errno.ENODEV;
    const registration = this.#byEvent.get(event) ?? this.#register(event);
    if (registration === undefined) return Errno.ENOMEM;
    registration.uses++;
    const { fd } = event;
    const eventFd = fd === undefined ? {} : { fd };
    return this.#hypercalls.assignAsyncIo({ ...descriptorOf(request), ...eventFd, handle: registration.handle });
  }

  /**
   * Returns −ENODEV without a ring, 0 for an event that was not assigned, and otherwise the result
   * of the hypercall.
   */
  deassign(request: IoEventRequest, event: EventObject): number {
    if (this.#ring === undefined) return Errno.ENODEV;
    const registration = this.#byEvent.get(event);
    if (registration === undefined) return 0;
    if (--registration.uses === 0) {
      this.#byEvent.delete(event);
      this.#byHandle.delete(registration.handle);
    }
    return this.#hypercalls.deassignAsyncIo({ ...descriptorOf(request), handle: registration.handle });
  }

  get hasWork(): boolean {
    return this.#ring?.isEmpty === false;
  }

  run(): void {
    const ring = this.#ring;
    if (ring === undefined) return;
    for (let taken = 0; taken < MAX_TAKEN && ring.take(this.#element) === RingResult.DONE; taken++) {
      // Handles have 31 bits: a value with an upper word was put there by another writer.
      const isHandle = this.#element[1] === 0;
      if (isHandle) this.#byHandle.get(this.#element[0] as number)?.event.signal();
    }
  }

  get #ring(): ReturnType<AsyncIoHypercalls['ring']> {
    return this.#hypercalls.ring(RingId.ASYNC_IO);
  }

  #register(event: EventObject): Registration | undefined {
    if (this.#byEvent.size >= MAX_ASYNC_EVENTS || this.#nextHandle > LAST_HANDLE) return undefined;
    const registration = { event, handle: this.#nextHandle++, uses: 0 };
    this.#byEvent.set(event, registration);
    this.#byHandle.set(registration.handle, registration);
    return registration;
  }
}

/** What the hypervisor compares a write with. It has no length: a write of any size matches. */
function descriptorOf({ isPort, address, data }: IoEventRequest): { isPort: boolean; address: bigint; data?: bigint } {
  return data === undefined ? { isPort, address } : { isPort, address, data };
}
