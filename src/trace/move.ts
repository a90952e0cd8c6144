/**
 * Move: one change of a slot's state (a transition, from one IoRequestState to the next) as plain
 * data. A request has four: to PENDING, PROCESSING, COMPLETE and back to FREE. One that the HSM
 * answers itself is never PROCESSING, and one that is withdrawn becomes FREE from any state.
 *
 * Made by: MoveAssembler, from the entries of a TraceRing.
 * Called by: users of `vm.trace()`, which get moves and print them with `describeMove`.
 */

import { describe, type IoRequest } from '../io-request/io-request.js';
import type { IoRequestState } from '../io-request/state.js';

/** `UNKNOWN`: the page held a number that is not a state. */
export type MoveState = keyof typeof IoRequestState | 'UNKNOWN';

export interface Move {
  /**
   * In ns since the VM's trace was created, by one clock for all threads. Never less than the time
   * of the slot's previous move.
   */
  readonly timeNs: number;
  /**
   * False if the clock was not read for this move (timestamp-sampling.ts): `timeNs` is then that of
   * the slot's previous move, a lower bound.
   */
  readonly isTimed: boolean;
  /** Index of the slot, 0 to 15. */
  readonly vcpu: number;
  readonly from: MoveState;
  readonly to: MoveState;
  /**
   * The side that made the move. `vcpu`: the hypervisor. `hsm`: the HSM, which may also finish a
   * request in place of its client. `client`: the request's client.
   */
  readonly by: 'vcpu' | 'hsm' | 'client';
  /**
   * Name of the request's client, from PROCESSING on. Undefined if no client has the request, or if
   * the move to PROCESSING was lost.
   */
  readonly client: string | undefined;
  /**
   * The request, as it was at PENDING, or from PROCESSING on the PCI request that the HSM made of
   * it. From COMPLETE on, its value is the answer. Undefined if the move to PENDING was lost,
   * except for such a PCI request.
   */
  readonly request: IoRequest | undefined;
  /** Equal for all moves of one request, and different for the slot's next request. */
  readonly requestNumber: number;
  /** Whether the move failed: the slot was not in state `from` and did not change. */
  readonly isRefused: boolean;
  /** How many moves of this slot, right before this one, were overwritten before they were read. */
  readonly lost: number;
}

/**
 * A move in one line: `12.345678 ms vCPU 0 PENDING → PROCESSING, uart16550: write port 0x3f8/1 =
 * 0x41`
 */
export function describeMove(move: Move): string {
  const time = `${(move.timeNs / 1e6).toFixed(6)}${move.isTimed ? '' : '+'} ms`;
  const client = move.client === undefined ? '' : `, ${move.client}`;
  const inPlace = move.by === 'hsm' && move.from === 'PROCESSING' ? ', finished by the HSM' : '';
  const isAnswered = !move.isRefused && (move.to === 'COMPLETE' || move.from === 'COMPLETE');
  const request = move.request === undefined ? '' : `: ${describe(move.request, isAnswered)}`;
  const refused = move.isRefused ? ' (refused)' : '';
  const lost = move.lost === 0 ? '' : ` (${move.lost} lost before)`;
  return `${time} vCPU ${move.vcpu} ${move.from} → ${move.to}${client}${inPlace}${request}${refused}${lost}`;
}
