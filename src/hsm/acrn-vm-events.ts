/**
 * AcrnVmEvents: the hypervisor's words to ACRN userspace about a VM (clock changed, power off, triple fault). They stand in a
 * ring that userspace empties itself; the HSM signals an event when something new is in it.
 *
 * A triple fault comes from the vCPU's thread, with an upcall. The clock and the power register are devices of the Service
 * VM here: whoever holds them sends, in the Service VM's thread, where no upcall is needed to get to `run`.
 */

import { RingId, VmEventType, type AsyncIoHypercalls } from '../hypervisor/async-io-hypercalls.js';
import type { EventObject } from './event-object.js';
import type { SideWork } from './pending-work.js';

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

export function decodeAcrnVmEvent(element: Int32Array<ArrayBuffer>): AcrnVmEvent {
  const bytes = new Uint8Array(element.buffer, element.byteOffset, VM_EVENT_BYTES).slice();
  return { type: new DataView(bytes.buffer).getUint32(0, true), data: bytes.subarray(4) };
}

/** RTC_CHG: what the guest's clock showed, in seconds since 1970, and by how much the guest changed it. */
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
  /** The ring's tail when the event was signalled last: userspace may take its time. */
  #seenTail = 0;

  constructor(hypercalls: AsyncIoHypercalls) {
    this.#hypercalls = hypercalls;
  }

  /** Replaces the event that stood before. */
  setEvent(event: EventObject): void {
    this.#event = event;
  }

  /** False when userspace has set up no ring, or has let it fill up: the event is lost then, as in ACRN. */
  send({ type, data }: AcrnVmEvent): boolean {
    if (!this.#hypercalls.sendEvent(type, data)) return false;
    this.run();
    return true;
  }

  get hasWork(): boolean {
    const ring = this.#hypercalls.ring(RingId.VM_EVENT);
    return this.#event !== undefined && ring !== undefined && !ring.isEmpty && ring.tail !== this.#seenTail;
  }

  run(): void {
    if (!this.hasWork) return;
    this.#seenTail = this.#hypercalls.ring(RingId.VM_EVENT)?.tail ?? 0;
    this.#event?.signal();
  }
}
