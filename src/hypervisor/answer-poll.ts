/**
 * AnswerPoll: whether a vCPU may stop waiting for its request: the request was answered, or
 * withdrawn.
 *
 * Called by: the vCPU's IoHandler: `begin` before it fills the slot, `relaxed` and `ordered` while
 * it waits (sync/poll.ts), `isLost` if the slot could not be released after that.
 * Threads: the vCPU's.
 */

import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import type { Poll } from '../sync/poll.js';
import type { VmSharedState } from './vm-shared-state.js';

export class AnswerPoll implements Poll {
  readonly #slot: Slot;
  readonly #shared: VmSharedState;
  /** The VM's withdrawal generation when the request was made. */
  #withdrawals = 0;

  constructor(slot: Slot, shared: VmSharedState) {
    this.#slot = slot;
    this.#shared = shared;
  }

  /**
   * A relaxed load is enough. Only a reset or destroy withdraws, and both need a paused VM, whose
   * vCPUs wait for a request or are parked. A vCPU that leaves its park has loaded RUNNING, which
   * was stored after the last withdrawal.
   */
  begin(): void {
    this.#withdrawals = this.#shared.relaxedWithdrawals;
  }

  relaxed(): boolean {
    return !isWaiting(this.#slot.relaxedState) || this.#shared.relaxedWithdrawals !== this.#withdrawals;
  }

  ordered(): boolean {
    return !isWaiting(this.#slot.state) || this.#isWithdrawn;
  }

  /**
   * Whether there will be no answer: the request was withdrawn, or another writer left an invalid
   * state in the page.
   */
  get isLost(): boolean {
    if (this.#isWithdrawn) return true;
    const { state } = this.#slot;
    return !isWaiting(state) && state !== IoRequestState.COMPLETE;
  }

  get #isWithdrawn(): boolean {
    return this.#shared.withdrawals !== this.#withdrawals;
  }
}

/** Whether the Service VM has not completed the request. */
function isWaiting(state: number): boolean {
  return state === IoRequestState.PROCESSING || state === IoRequestState.PENDING;
}
