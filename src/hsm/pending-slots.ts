/**
 * PendingSlots: the slots of one VM that the worker still has to serve: PENDING and not stalled. A stalled slot has no
 * client, or a gate holds it, and waits for the next requested pass.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import type { Poll } from '../sync/poll.js';

export class PendingSlots implements Poll {
  readonly #slots: readonly Slot[];
  readonly #stalled: boolean[] = Array.from({ length: SLOT_COUNT }, () => false);
  #hasStalled = false;

  /** `slots` of the vCPUs that the VM has. */
  constructor(slots: readonly Slot[]) {
    this.#slots = slots;
  }

  relaxed(): boolean {
    const slots = this.#slots;
    for (let vcpu = 0; vcpu < slots.length; vcpu++)
      if (slots[vcpu]?.relaxedState === IoRequestState.PENDING && this.#stalled[vcpu] !== true) return true;
    return false;
  }

  ordered(): boolean {
    const slots = this.#slots;
    for (let vcpu = 0; vcpu < slots.length; vcpu++)
      if (slots[vcpu]?.state === IoRequestState.PENDING && this.#stalled[vcpu] !== true) return true;
    return false;
  }

  stall(vcpu: number): void {
    this.#stalled[vcpu] = true;
    this.#hasStalled = true;
  }

  /** Every slot from `vcpu` on that is PENDING now. */
  stallFrom(vcpu: number): void {
    for (const later of this.#slots.slice(vcpu)) this.#stalled[later.vcpu] = later.state === IoRequestState.PENDING;
    this.#hasStalled = true;
  }

  retry(vcpu: number): void {
    this.#stalled[vcpu] = false;
  }

  /** When a pass begins, or the VM is reset. */
  retryAll(): void {
    if (!this.#hasStalled) return;
    this.#stalled.fill(false);
    this.#hasStalled = false;
  }
}
