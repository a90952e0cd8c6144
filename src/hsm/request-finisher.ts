/**
 * RequestFinisher: step f, from any thread. A client's answer counts only while the ticket of its assignment stands in
 * the slot's ticket word. Taking the ticket is one compare-and-exchange, so of a client, a time limit, a reset and a
 * dying thread exactly one finishes the request, and a late answer never reaches a later request in the same slot.
 *
 * The value is written after the ticket was taken and before the slot becomes COMPLETE. In between the word holds the
 * negative ticket: a thread may lose its processor just there, and whoever would then use the slot for another request
 * (a reset, an expulsion) sees that somebody is still about to write to it.
 */

import { Direction, IoRequestType } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { SharedWords } from '../sync/shared-words.js';
import type { Slot } from '../io-request/slot.js';
import type { VmSharedStateHandle } from '../hypervisor/vm-shared-state.js';

/** What a client in another thread needs to finish its requests there; it survives structured cloning. */
export interface ClientFinisher {
  readonly page: SharedArrayBuffer;
  readonly tickets: SharedArrayBuffer;
  readonly shared: VmSharedStateHandle;
}

export class RequestFinisher {
  readonly #slots: readonly Slot[];
  readonly #tickets: SharedWords;
  readonly #notify: (vcpu: number) => number;

  /** `notify` is the hypercall that wakes the vCPU; it is not made for a slot that polls for completion. */
  constructor(buffer: SharedBuffer, tickets: SharedWords, notify: (vcpu: number) => number) {
    this.#slots = buffer.slots;
    this.#tickets = tickets;
    this.#notify = notify;
  }

  /** True when this call finished the request; false when it was finished or withdrawn before. */
  finish(vcpu: number, ticket: number, type: number, direction: number, low: number, high: number): boolean {
    if (ticket <= 0 || !this.#tickets.move(vcpu, ticket, -ticket)) return false;
    const polling = this.#complete(this.#slots[vcpu] as Slot, type, direction, low, high);
    // While the word says so: if this thread ends before it rings, whoever buries it finds that and rings.
    if (!polling) this.#notify(vcpu);
    // Refused when the slot is assigned again already; then the word is another request's.
    this.#tickets.move(vcpu, -ticket, 0);
    return true;
  }

  /** The same for a client in the Service VM's thread: every other one that could take its ticket runs there, too. */
  finishHere(vcpu: number, ticket: number, type: number, direction: number, low: number, high: number): boolean {
    if (ticket <= 0 || this.#tickets.loadRelaxed(vcpu) !== ticket) return false;
    this.#tickets.storeRelaxed(vcpu, 0);
    if (!this.#complete(this.#slots[vcpu] as Slot, type, direction, low, high)) this.#notify(vcpu);
    return true;
  }

  /** The second half, for a caller that holds the ticket already. Returns the hypercall's result, 0 when none was made. */
  completeTaken(vcpu: number, type: number, direction: number, low: number, high: number): number {
    return this.#complete(this.#slots[vcpu] as Slot, type, direction, low, high) ? 0 : this.#notify(vcpu);
  }

  /** Whether the hypervisor polls: read before COMPLETE, because it may use the slot again the moment it sees that. */
  #complete(slot: Slot, type: number, direction: number, low: number, high: number): boolean {
    if (direction === Direction.READ) {
      if (type === IoRequestType.MMIO) slot.setValue64(low, high);
      else slot.setValue(low);
    }
    const polling = slot.completionPolling;
    slot.complete();
    return polling;
  }
}
