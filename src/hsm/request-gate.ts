/**
 * RequestGate: may hold a User VM's requests, so that an operator can look at them. There are two
 * places: before a client gets the request (the slot stays PENDING), and after the client answered
 * (the slot stays PROCESSING, and the gate keeps the answer).
 *
 * Implemented by: debugging/vm-debugger.ts (breakpoints, single steps). A VM that holds nothing has
 * no gate and pays one load of a field.
 * Called by: VmRequests before it assigns or answers a request. SlotAssignment when a client
 * answers, and when a time limit asks whether it has.
 * Implementations must: decide and return at once. They release a held request later: one at
 * PENDING by a new pass (DispatchWorker.queuePass), an answer by SlotAssignment.finishNow.
 * Threads: the Service VM's.
 *
 * A request held at PENDING does not keep the worker awake. Each later pass asks the gate again.
 *
 * A request held before COMPLETE keeps its ticket, the number of its assignment: the thread that
 * takes the ticket finishes the request. If a reset or the removal of the client ends the request
 * first, it takes the ticket, and the answer that the gate releases later is dropped.
 */

import type { AssignedRequest } from './assigned-request.js';

/** What the gate decides about a client's answer. */
export const GateDecision = {
  /** The answer completes the request now. */
  PASS: 0,
  /** The gate keeps the answer. For the client the request is finished. */
  HELD: 1,
  /** The gate already keeps an answer to this request. This one is refused. */
  REFUSED: 2,
} as const;
export type GateDecision = (typeof GateDecision)[keyof typeof GateDecision];

export interface RequestGate {
  /**
   * Returns whether to hold a PENDING request. `client`: the name of the client that is about to
   * get it, or HSM_NAME (io-request.ts) if the HSM is about to answer it itself.
   */
  holdsPending(request: AssignedRequest, client: string): boolean;
  /**
   * Decides about the answer of `client`. `low` and `high` are the value's int32 words, meaningless
   * for a write.
   */
  decideAnswer(request: AssignedRequest, client: string, ticket: number, low: number, high: number): GateDecision;
  /**
   * Returns whether the gate keeps the answer to slot `vcpu`'s request. Then its client was in
   * time, however long the request has been held.
   */
  hasAnswer(vcpu: number): boolean;
}
