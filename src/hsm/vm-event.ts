/**
 * VmEvents: the hypervisor's words to ACRN userspace about a VM (clock changed, power off, triple fault). They stand in a
 * ring that userspace empties itself; the HSM signals an event when something new is in it.
 */

import { RingId, type AsyncIoHypercalls } from '../hypervisor/async-io-hypercalls.js';
import type { EventObject } from './event-object.js';
import type { SideWork } from './vm-requests.js';

export const VM_EVENT_BYTES = 32;

/** `struct vm_event`. */
export interface VmEventRecord {
  readonly type: number;
  /** 28 bytes, whose meaning depends on the type. */
  readonly data: Uint8Array;
}

export function decodeVmEvent(element: Int32Array): VmEventRecord {
  const bytes = new Uint8Array(element.buffer, element.byteOffset, VM_EVENT_BYTES).slice();
  return { type: new DataView(bytes.buffer).getUint32(0, true), data: bytes.subarray(4) };
}

export class VmEvents implements SideWork {
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
