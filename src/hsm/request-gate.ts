/**
 * RequestGate: may hold the requests of a User VM (debugging/), at PENDING before a client gets
 * one, or before COMPLETE when its answer is known. A VM that is not debugged has no gate, and pays
 * one load of a field.
 *
 * Called by: VmRequests and SlotAssignment, in the middle of a dispatch or of a client's answer.
 * Implementations must: decide and return at once.
 * Threads: the Service VM's.
 *
 * A request held at PENDING stays PENDING, and later passes ask for it again. It does not keep the
 * worker awake. A request held before COMPLETE keeps its ticket. If a reset or the removal of its
 * client ends the request first, that takes the ticket, and an answer released later is too late.
 */

import type { AssignedRequest } from './assigned-request.js';

/** What the gate does with a client's answer. */
export const AnswerFate = {
  /** It completes the request. */
  PASS: 0,
  /** It is held. For the client the request is finished. */
  HELD: 1,
  /** Too late: another answer to this request is held already. */
  LATE: 2,
} as const;
export type AnswerFate = (typeof AnswerFate)[keyof typeof AnswerFate];

export interface RequestGate {
  /** Whether to hold a PENDING request that `client` is about to get. */
  holdsPending(request: AssignedRequest, client: string): boolean;
  /** What to do with the answer of `client`: int32 words, which are meaningless for a write. */
  holdsAnswer(request: AssignedRequest, client: string, ticket: number, low: number, high: number): AnswerFate;
  /**
   * Whether the request of slot `vcpu` is held before COMPLETE. Its client has answered in time.
   */
  hasAnswer(vcpu: number): boolean;
}
