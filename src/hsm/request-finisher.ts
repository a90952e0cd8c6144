/**
 * RequestFinisher: finishes requests from any thread (step f in ARCHITECTURE.md): value, COMPLETE,
 * and the hypercall that wakes the vCPU. A ticket names one assignment of a slot, and an answer is
 * accepted only while its ticket is in the slot's ticket word. Taking the ticket is one
 * compare-and-exchange. So exactly one of a client, the time limit, CLEAR, a reset and the removal
 * of the client ends the request, and a late answer never reaches a later request in the slot.
 *
 * Called by: SlotAssignment in the Service VM's thread; the threads of clients, each with a
 * RequestFinisher of its own.
 * Threads: any. The ticket words are shared.
 *
 * Order: take the ticket, write the value, COMPLETE, hypercall. Meanwhile the word holds the
 * negative ticket. A thread may be preempted there, or die, and code that would reuse the slot (a
 * reset, the removal of a client) sees that the finish is not over.
 */

import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { VmSharedStateHandle } from '../hypervisor/vm-shared-state.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import type { SharedWords } from '../sync/shared-words.js';

/**
 * What a client in another thread needs to finish its requests there. It survives structured
 * cloning.
 */
export interface ClientFinisher {
  readonly page: SharedArrayBuffer;
  readonly tickets: SharedArrayBuffer;
  readonly shared: VmSharedStateHandle;
}

/** The hypercall that wakes a vCPU. */
export type FinishHypercall = Pick<Hypercalls, 'notifyRequestFinish'>;

export interface FinisherOptions {
  readonly buffer: SharedBuffer;
  /** The ticket of each slot's assignment. 0: not assigned. Negative: being finished. */
  readonly tickets: SharedWords;
  readonly hypercalls: FinishHypercall;
  /** The hypercall was refused with `result`, which is negative. */
  readonly onRefused?: (vcpu: number, result: number) => void;
}

export class RequestFinisher {
  readonly #slots: readonly Slot[];
  readonly #tickets: SharedWords;
  readonly #hypercalls: FinishHypercall;
  readonly #onRefused: ((vcpu: number, result: number) => void) | undefined;

  constructor({ buffer, tickets, hypercalls, onRefused }: FinisherOptions) {
    this.#slots = buffer.slots;
    this.#tickets = tickets;
    this.#hypercalls = hypercalls;
    this.#onRefused = onRefused;
  }

  /** Answers a request. Returns false if it was finished or withdrawn before. */
  finish(
    { vcpu, type, direction }: { readonly vcpu: number; readonly type: number; readonly direction: number },
    ticket: number,
    low: number,
    high: number,
  ): boolean {
    if (!this.#take(vcpu, ticket)) return false;
    (this.#slots[vcpu] as Slot).setAnswer(type, direction, low, high);
    this.complete(vcpu);
    this.#giveBack(vcpu, ticket);
    return true;
  }

  /**
   * Finishes a request with the value that is in the page. Returns the result of the hypercall, 0
   * if none was made: the vCPU polls, or the request was finished or withdrawn before.
   */
  finishAsIs(vcpu: number, ticket: number): number {
    if (!this.#take(vcpu, ticket)) return 0;
    const result = this.complete(vcpu);
    this.#giveBack(vcpu, ticket);
    return result;
  }

  /**
   * Completes a slot and wakes its vCPU. Returns the result of the hypercall, 0 if the vCPU polls
   * and none was made. `from` is the slot's state.
   *
   * Callers must be the only finisher. From PROCESSING: they have taken the ticket, here or by a
   * plain store (SlotAssignment.finish of a client without a thread). From PENDING: VmRequests
   * answers a request that was not assigned, so that it has no ticket.
   *
   * Read polling before COMPLETE: the hypervisor may reuse the slot as soon as it sees COMPLETE, so
   * the word could belong to the next request. If another writer changed the state, the slot is not
   * completed, but its vCPU is still woken to see that.
   */
  complete(
    vcpu: number,
    from: typeof IoRequestState.PROCESSING | typeof IoRequestState.PENDING = IoRequestState.PROCESSING,
  ): number {
    const slot = this.#slots[vcpu] as Slot;
    const polling = slot.completionPolling;
    slot.complete(from);
    return polling ? 0 : this.notify(vcpu);
  }

  /** The hypercall alone. */
  notify(vcpu: number): number {
    const result = this.#hypercalls.notifyRequestFinish(vcpu);
    if (result < 0) this.#onRefused?.(vcpu, result);
    return result;
  }

  /**
   * Claims the request for this thread. Returns false if another one has done so, or no request is
   * open.
   */
  #take(vcpu: number, ticket: number): boolean {
    return ticket > 0 && this.#tickets.move(vcpu, ticket, -ticket);
  }

  /**
   * After the hypercall: if this thread ends before it, the negative ticket shows that the vCPU
   * still has to be woken. Refused if the slot is assigned again already, because then the word
   * belongs to another request.
   */
  #giveBack(vcpu: number, ticket: number): void {
    this.#tickets.move(vcpu, -ticket, 0);
  }
}
