/**
 * SlotAssignment: the HSM's state of one slot: its copy of the request, the owner, the ticket, and
 * the time of the assignment.
 *
 * The finish of a request (step f in ARCHITECTURE.md), from a device's result in the Service VM's
 * thread to the vCPU that goes on:
 *
 *   AssignedRequest.finish → SlotAssignment.finish → RequestFinisher.complete
 *     → Slot.complete
 *     → Hypercalls.notifyRequestFinish → Doorbell.ring
 *
 * Called by: VmRequests, which assigns; clients, which finish through `request`; Assignments, which
 * ends requests without their clients; TimeLimit and PendingWork, for their fields; the debugger,
 * which releases answers.
 * Threads: the Service VM's. A client in a thread of its own has a RequestFinisher there, which
 * shares the ticket words.
 */

import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import type { SharedWords } from '../sync/shared-words.js';
import { AssignedRequest } from './assigned-request.js';
import type { IoClient } from './io-client.js';
import type { RequestFinisher } from './request-finisher.js';
import { GateDecision, type RequestGate } from './request-gate.js';
import { TicketCounter } from './ticket-counter.js';

/** What the assignments of one VM share. */
export interface SharedAssignmentParts {
  readonly tickets: SharedWords;
  readonly finisher: RequestFinisher;
  readonly gate: RequestGate | undefined;
}

export class SlotAssignment {
  readonly vcpu: number;
  readonly slot: Slot;
  /** The HSM's copy of the request, which its client gets. */
  readonly request: AssignedRequest;
  /**
   * The current or most recent owner of the request. Undefined after a reset or the client's end.
   */
  owner: IoClient | undefined = undefined;
  /**
   * A PENDING slot is stalled if a gate holds it, or if it or an earlier slot has no client. It is
   * no reason for a pass, and the next one tries it again (pending-work.ts).
   */
  isStalled = false;
  // From here to `freshPeriods` the fields are TimeLimit's.
  /** The ticket that TimeLimit watches, or 0. */
  watchedTicket = 0;
  /**
   * When the request was assigned, in ms. NaN makes the field a double from the start, so that a
   * store allocates nothing.
   */
  sinceMs = NaN;
  /** When the request is late, in ms. */
  deadlineMs = NaN;
  /** The deadline has passed. It is reported after one more turn of the event loop. */
  isExpired = false;
  /** How often the limit began again because the thread was blocked. */
  freshPeriods = 0;
  readonly #parts: SharedAssignmentParts;
  /** A ticket is compared only with others of its slot, so each slot numbers its own. */
  readonly #counter = new TicketCounter();
  /**
   * Whether the owner answers in this thread, which it does without `connect`. Then no other thread
   * takes the ticket, and plain loads and stores are enough.
   */
  #isLocal = false;

  constructor(slot: Slot, parts: SharedAssignmentParts) {
    this.vcpu = slot.vcpu;
    this.slot = slot;
    this.request = new AssignedRequest(slot.vcpu, this);
    this.#parts = parts;
  }

  /** The ticket word. 0: not assigned. Negative: being finished. */
  get currentTicket(): number {
    return this.#parts.tickets.load(this.vcpu);
  }

  get isAssigned(): boolean {
    return this.currentTicket !== 0;
  }

  /**
   * Whether `ticket` is still unanswered, by a relaxed load. An answer from another thread may be
   * seen late. Then the gate or TimeLimit gets a request that is over, and drops it at the ticket.
   */
  isUnanswered(ticket: number): boolean {
    return this.#parts.tickets.loadRelaxed(this.vcpu) === ticket;
  }

  /**
   * Whether the client still owes the answer to `ticket`. An answer that the gate holds counts as
   * given.
   */
  isOwed(ticket: number): boolean {
    return this.#parts.gate?.hasAnswer(this.vcpu) !== true && this.currentTicket === ticket;
  }

  /**
   * PENDING → PROCESSING (step d). Returns the new ticket, or 0 if another writer changed the
   * slot's state. Then the HSM no longer owns it.
   */
  assign(client: IoClient, kernelHandled: boolean): number {
    const { tickets } = this.#parts;
    const ticket = this.#counter.next();
    this.request.ticket = ticket;
    this.owner = client;
    this.#isLocal = client.connect === undefined;
    // The ticket before the state: a thread of userspace that scans the page may answer as soon as
    // it sees PROCESSING (acrn-hsm/userspace-thread.ts).
    if (this.#isLocal) tickets.storeRelaxed(this.vcpu, ticket);
    else tickets.store(this.vcpu, ticket);
    if (this.slot.assign(kernelHandled)) return ticket;
    tickets.store(this.vcpu, 0);
    return 0;
  }

  /** The client's answer, which a gate may hold. Returns false if it is too late. */
  finish(ticket: number, low: number, high: number): boolean {
    const { tickets, finisher, gate } = this.#parts;
    const { vcpu, slot, request } = this;
    if (ticket <= 0) return false;
    if (gate !== undefined && this.isUnanswered(ticket)) {
      const decision = gate.decideAnswer(request, this.owner?.name ?? '', ticket, low, high);
      if (decision !== GateDecision.PASS) return decision === GateDecision.HELD;
    }
    if (!this.#isLocal) return finisher.finish(request, ticket, low, high);
    if (tickets.loadRelaxed(vcpu) !== ticket) return false;
    tickets.storeRelaxed(vcpu, 0);
    slot.setAnswer(request.type, request.direction, low, high);
    finisher.complete(vcpu);
    return true;
  }

  /** Finishes the request whatever the gate decides. Returns false if it is too late. */
  finishNow(ticket: number, low: number, high: number): boolean {
    return this.#parts.finisher.finish(this.request, ticket, low, high);
  }

  /**
   * Finishes with the value that is in the page. Returns the result of the hypercall, 0 if none was
   * made.
   */
  finishAsIs(): number {
    return this.#parts.finisher.finishAsIs(this.vcpu, this.currentTicket);
  }

  /**
   * Finishes the request as all ones, in place of its owner. If the owner's thread is finishing it
   * at this moment, leaves it to that thread. The caller calls again when the thread has ended. If
   * the thread died between taking the ticket and completing, this call does the rest.
   */
  finishForced(): void {
    const { tickets, finisher } = this.#parts;
    const { vcpu, slot, request } = this;
    this.finishNow(this.currentTicket, -1, -1);
    const ticket = this.currentTicket;
    if (ticket < 0 && this.owner?.isRunning === true) return;
    // The thread died after it took the ticket: before COMPLETE, or before the hypercall.
    if (slot.state === IoRequestState.PROCESSING) {
      slot.setAnswer(request.type, request.direction, -1, -1);
      finisher.complete(vcpu);
    } else if (ticket < 0) finisher.notify(vcpu);
    tickets.store(vcpu, 0);
    this.owner = undefined;
  }

  /**
   * Called at a reset: later answers are refused. Returns false while a thread is finishing the
   * request. Then the slot must not be reused yet.
   */
  withdraw(): boolean {
    const ticket = this.currentTicket;
    if (ticket > 0) this.#parts.tickets.move(this.vcpu, ticket, 0);
    if (this.isAssigned) return false;
    this.owner = undefined;
    return true;
  }
}
