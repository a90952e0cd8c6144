/**
 * AcrnVmEvents: hypervisor-to-userspace VM events (clock change, power-off, triple fault). They go
 * into a ring that ACRN userspace empties. The HSM signals an eventfd of userspace when a new
 * element is in the ring.
 *
 * Called by: UserVm, which creates it; the worker, as SideWork of a pass; the devices of the clock
 * and of the power register, for `send`; acrn-hsm/ and acrn-programs/, for userspace's event.
 * Threads: the Service VM's.
 *
 * A triple fault comes from the vCPU's thread, with an upcall. The clock and the power register are
 * devices of the Service VM here, so `send` calls `run` itself and needs no upcall.
 */

import { RingId, VmEventType, type AsyncIoHypercalls } from '../hypervisor/async-io-hypercalls.js';
import type { EventObject } from './event-object.js';
import type { SideWork } from './pending-work.js';

/** `struct vm_event`: a u32 type, then data. */
export const VM_EVENT_BYTES = 32;
const DATA_BYTES = 28;
/** `last_time` and `delta` of RTC_CHG, both i64, within the data. */
const LAST_TIME = 0;
const DELTA = 8;

/** `struct vm_event`. */
export interface AcrnVmEvent {
  readonly type: number;
  /** 28 bytes, whose meaning depends on the type. */
  readonly data: Uint8Array;
}

/** Decodes one element, as SharedRing.take stores it. */
export function decodeAcrnVmEvent(element: Int32Array<ArrayBuffer>): AcrnVmEvent {
  const bytes = new Uint8Array(element.buffer, element.byteOffset, VM_EVENT_BYTES).slice();
  return { type: new DataView(bytes.buffer).getUint32(0, true), data: bytes.subarray(4) };
}

/**
 * RTC_CHG: the guest's clock before the change, in seconds since 1970, and the change in seconds.
 */
export function rtcChanged(lastTime: number, delta: number): AcrnVmEvent {
  const data = new Uint8Array(DATA_BYTES);
  const view = new DataView(data.buffer);
  view.setBigInt64(LAST_TIME, BigInt(lastTime), true);
  view.setBigInt64(DELTA, BigInt(delta), true);
  return { type: VmEventType.RTC_CHANGED, data };
}

/** POWEROFF, which has no data. */
export const POWER_OFF: AcrnVmEvent = { type: VmEventType.POWER_OFF, data: new Uint8Array(DATA_BYTES) };

export class AcrnVmEvents implements SideWork {
  readonly #hypercalls: AsyncIoHypercalls;
  #event: EventObject | undefined;
  /**
   * The ring's tail at the last signal. Userspace may not have emptied the ring since, so a ring
   * that is not empty is no reason to signal again. NaN: there was no signal.
   */
  #seenTail = NaN;

  constructor(hypercalls: AsyncIoHypercalls) {
    this.#hypercalls = hypercalls;
  }

  /**
   * `event` is what the HSM signals from now on. It replaces an earlier one. Userspace may have set
   * up the ring again before, so the tail that was seen says nothing any more.
   */
  setEvent(event: EventObject): void {
    this.#event = event;
    this.#seenTail = NaN;
  }

  /**
   * Signals without a new element. Userspace finds the ring empty, and must be able to bear that.
   */
  wakeUserspace(): void {
    this.#event?.signal();
  }

  /**
   * Returns false if the ring is full or userspace has set up none. Then the event is lost, as in
   * ACRN.
   */
  send({ type, data }: AcrnVmEvent): boolean {
    if (!this.#hypercalls.sendEvent(type, data)) return false;
    this.run();
    return true;
  }

  get hasWork(): boolean {
    return this.#freshTail() !== undefined;
  }

  run(): void {
    const tail = this.#freshTail();
    if (tail === undefined) return;
    this.#seenTail = tail;
    this.#event?.signal();
  }

  /** The tail, if there is an event to signal, and a new element in the ring. */
  #freshTail(): number | undefined {
    const ring = this.#hypercalls.ring(RingId.VM_EVENT);
    if (this.#event === undefined || ring === undefined || ring.isEmpty) return undefined;
    return ring.tail === this.#seenTail ? undefined : ring.tail;
  }
}
