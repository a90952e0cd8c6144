/**
 * PendingWork: whether a pass over one VM has work: a slot that is PENDING and not stalled, or side
 * work. A stalled slot is no reason for a pass. The next pass, for whatever reason, tries it again.
 *
 * Called by: DispatchWorker, which polls; VmRequests, which stalls slots and begins passes.
 */

import { IoRequestState } from '../io-request/state.js';
import type { Poll } from '../sync/poll.js';
import type { SlotAssignment } from './slot-assignment.js';

/** Other work of the worker for a VM at each pass: the rings of asynchronous I/O and VM events. */
export interface SideWork {
  /** By atomic loads: it is also a waiter's last poll before it parks. */
  readonly hasWork: boolean;
  run(): void;
}

export class PendingWork implements Poll {
  readonly #assignments: readonly SlotAssignment[];
  #sideWork: readonly SideWork[] = [];
  #hasStalled = false;

  constructor(assignments: readonly SlotAssignment[]) {
    this.#assignments = assignments;
  }

  add(work: SideWork): void {
    this.#sideWork = [...this.#sideWork, work];
  }

  relaxed(): boolean {
    const assignments = this.#assignments;
    for (let vcpu = 0; vcpu < assignments.length; vcpu++) {
      const assignment = assignments[vcpu] as SlotAssignment;
      if (assignment.slot.relaxedState === IoRequestState.PENDING && !assignment.isStalled) return true;
    }
    return this.#hasSideWork();
  }

  ordered(): boolean {
    const assignments = this.#assignments;
    for (let vcpu = 0; vcpu < assignments.length; vcpu++) {
      const assignment = assignments[vcpu] as SlotAssignment;
      if (assignment.slot.state === IoRequestState.PENDING && !assignment.isStalled) return true;
    }
    return this.#hasSideWork();
  }

  /** Called at the start of a pass: clears every stall, then runs the side work. */
  beginPass(): void {
    this.retryAll();
    if (this.#sideWork.length > 0) for (const work of this.#sideWork) work.run();
  }

  /** Clears every stall: the worker sees those slots as work again. */
  retryAll(): void {
    if (!this.#hasStalled) return;
    for (const assignment of this.#assignments) assignment.isStalled = false;
    this.#hasStalled = false;
  }

  /** Stalls a slot whose request the gate holds. */
  stall(assignment: SlotAssignment): void {
    assignment.isStalled = true;
    this.#hasStalled = true;
  }

  /**
   * Stalls every PENDING slot from `vcpu` on: a request without a client ends the pass. A slot that
   * becomes PENDING later is work at once.
   */
  stallFrom(vcpu: number): void {
    for (const assignment of this.#assignments.slice(vcpu))
      assignment.isStalled = assignment.slot.state === IoRequestState.PENDING;
    this.#hasStalled = true;
  }

  #hasSideWork(): boolean {
    if (this.#sideWork.length > 0) for (const work of this.#sideWork) if (work.hasWork) return true;
    return false;
  }
}
