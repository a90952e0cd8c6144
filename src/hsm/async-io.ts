/**
 * AsyncIoEvents: the HSM's side of asynchronous I/O. The hypervisor completes a guest's write by itself and puts a handle
 * into a ring; at the next pass of the worker the handle's event is signalled.
 *
 * In ACRN's kernel the ring, which userspace can write, holds kernel pointers. Here it holds numbers that are looked up:
 * a number that was never given out, or was taken back, signals nothing.
 */

import { Errno } from '../io-request/errno.js';
import { RingId, type AsyncIoHypercalls } from '../hypervisor/async-io-hypercalls.js';
import { RingResult } from '../sync/shared-ring.js';
import type { EventObject } from './event-object.js';
import type { IoEventRequest } from './ioeventfd.js';
import type { SideWork } from './pending-work.js';

/** Events of one VM that have a handle: as many as the hypervisor has descriptors. */
export const MAX_ASYNC_EVENTS = 64;
/** Handles taken in one pass; a ring has not more. */
const MAX_TAKEN = 512;
const FIRST_HANDLE = 1;
const LAST_HANDLE = 0x7fff_ffff;

interface Registration {
  readonly event: EventObject;
  readonly handle: number;
  /** Descriptors that carry the handle. */
  uses: number;
}

export class AsyncIoEvents implements SideWork {
  readonly #hypercalls: AsyncIoHypercalls;
  readonly #byHandle = new Map<number, Registration>();
  readonly #byEvent = new Map<EventObject, Registration>();
  readonly #element = new Int32Array(2);
  #nextHandle = FIRST_HANDLE;

  constructor(hypercalls: AsyncIoHypercalls) {
    this.#hypercalls = hypercalls;
  }

  get isSetUp(): boolean {
    return this.#ring !== undefined;
  }

  /** −ENODEV while there is no ring. A conflict is not an error: the hypercall says 0 to it, as in ACRN. */
  assign(request: IoEventRequest, event: EventObject): number {
    if (this.#ring === undefined) return Errno.ENODEV;
    const registration = this.#byEvent.get(event) ?? this.#register(event);
    if (registration === undefined) return Errno.ENOMEM;
    registration.uses++;
    return this.#hypercalls.assignAsyncIo({ ...descriptorOf(request), handle: registration.handle });
  }

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
      const isHandle = this.#element[1] === 0;
      if (isHandle) this.#byHandle.get(this.#element[0] ?? 0)?.event.signal();
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

function descriptorOf({ isPort, address, data }: IoEventRequest): { isPort: boolean; address: bigint; data?: bigint } {
  return data === undefined ? { isPort, address } : { isPort, address, data };
}
