/**
 * RequestGate: who may hold the requests of a User VM (debugging/): at PENDING, before a client is given one, or before
 * COMPLETE, when its answer is known. A VM without a gate, which is every VM that nobody debugs, pays one look at a field.
 *
 * The gate is asked in the Service VM's thread, in the middle of a dispatch or of a client's answer: it decides and
 * returns. A request that it holds at PENDING stays PENDING, is asked for again at later passes, and gives the worker no
 * reason to stay awake. A request that it holds before COMPLETE keeps its ticket: whatever ends the request in another
 * way (a reset, the end of its client) takes that ticket, and the answer which is let go afterwards comes too late.
 */

import type { AssignedRequest } from './assigned-request.js';

/** What becomes of a client's answer. */
export const AnswerFate = {
  /** It is given. */
  PASS: 0,
  /** It is held: the client has done its part. */
  HELD: 1,
  /** This request has an answer already, which is held. */
  LATE: 2,
} as const;
export type AnswerFate = (typeof AnswerFate)[keyof typeof AnswerFate];

export interface RequestGate {
  /** Whether to hold a PENDING request which `client` is about to be given. */
  holdsPending(request: AssignedRequest, client: string): boolean;
  /** What to do with the answer of `client`, int32 words; of a write they mean nothing. */
  holdsAnswer(request: AssignedRequest, client: string, ticket: number, low: number, high: number): AnswerFate;
  /** Whether the request of slot `vcpu` is held before COMPLETE: its client has answered, its time is not over. */
  hasAnswer(vcpu: number): boolean;
}
