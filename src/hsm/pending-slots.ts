/**
 * PendingSlots: which slots of one VM give the HSM's worker a reason to stay awake. Those are the PENDING ones but for the
 * stalled: nobody serves them, or a gate holds them, and they wait for the next pass that somebody asks for.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';

export class PendingSlots {
  readonly #slots: readonly Slot[];
  readonly #stalled: boolean[] = Array.from({ length: SLOT_COUNT }, () => false);
  #hasStalled = false;

  /** `slots` of the vCPUs that the VM has. */
  constructor(slots: readonly Slot[]) {
    this.#slots = slots;
  }

  /** The last look before the worker sleeps. */
  hasAny(): boolean {
    const slots = this.#slots;
    for (let vcpu = 0; vcpu < slots.length; vcpu++)
      if (slots[vcpu]?.state === IoRequestState.PENDING && this.#stalled[vcpu] !== true) return true;
    return false;
  }

  /** The same without ordering, for the worker's loops. */
  hasAnyRelaxed(): boolean {
    const slots = this.#slots;
    for (let vcpu = 0; vcpu < slots.length; vcpu++)
      if (slots[vcpu]?.relaxedState === IoRequestState.PENDING && this.#stalled[vcpu] !== true) return true;
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

  /** A pass begins, or the VM is reset: all are looked at again. */
  retryAll(): void {
    if (!this.#hasStalled) return;
    this.#stalled.fill(false);
    this.#hasStalled = false;
  }
}
