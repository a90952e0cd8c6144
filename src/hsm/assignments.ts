/**
 * Assignments: the SlotAssignment of each slot of one VM, and the state that they share.
 *
 * Called by: VmRequests, which assigns; VmClients, when a client ends; UserVm's inspection, the
 * debugger, CLEAR.
 * Callers must: end an assignment only by a method of this class or of SlotAssignment. These take
 * its ticket first, so only one of an answer, the time limit, CLEAR and a reset ends it.
 */

import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { SharedWords } from '../sync/shared-words.js';
import type { IoClient } from './io-client.js';
import { RequestFinisher } from './request-finisher.js';
import type { RequestGate } from './request-gate.js';
import { SlotAssignment, type SharedAssignmentParts } from './slot-assignment.js';

export interface AssignmentsOptions {
  readonly buffer: SharedBuffer;
  readonly hypercalls: Pick<Hypercalls, 'vcpuCount' | 'notifyRequestFinish'>;
  /** The completion hypercall was refused. */
  readonly onRefused?: (vcpu: number, result: number) => void;
}

export class Assignments implements SharedAssignmentParts {
  /**
   * By slot: its assignment's ticket. 0: not assigned. Negative: being finished
   * (request-finisher.ts).
   */
  readonly tickets = new SharedWords(SLOT_COUNT);
  readonly finisher: RequestFinisher;
  /** May hold requests and answers (the debugger). Undefined while nothing may be held. */
  gate: RequestGate | undefined = undefined;
  /** One for each vCPU that the VM has. */
  readonly used: readonly SlotAssignment[];
  /** One for each slot of the page. */
  readonly #all: readonly SlotAssignment[];

  constructor({ buffer, hypercalls, onRefused }: AssignmentsOptions) {
    const { tickets } = this;
    this.finisher = new RequestFinisher({ buffer, tickets, hypercalls, ...(onRefused && { onRefused }) });
    this.#all = buffer.slots.map((slot) => new SlotAssignment(slot, this));
    this.used = this.#all.slice(0, hypercalls.vcpuCount);
  }

  /** `vcpu` is 0…15. */
  of(vcpu: number): SlotAssignment {
    return this.#all[vcpu] as SlotAssignment;
  }

  /** Slots assigned to `client` and not finished: bit n for slot n. */
  slotsOf(client: IoClient): number {
    let bits = 0;
    for (const assignment of this.used)
      if (assignment.owner === client && assignment.isAssigned) bits |= 1 << assignment.vcpu;
    return bits;
  }

  /**
   * Finishes, as all ones, every request that `client` has not finished. See
   * SlotAssignment.finishForced.
   */
  finishAllOf(client: IoClient): void {
    for (const assignment of this.used) if (assignment.owner === client) assignment.finishForced();
  }

  /**
   * Finishes `client`'s request in slot `vcpu` with the value in the page. Returns the result of
   * the hypercall, or 0 if none was made: `client` does not own the slot, its request is over, or
   * the vCPU polls for completion.
   */
  finishAsIs(client: IoClient, vcpu: number): number {
    const assignment = this.of(vcpu);
    return assignment.owner === client ? assignment.finishAsIs() : 0;
  }

  /**
   * Withdraws all requests at a reset, so that later answers are refused. Returns false while a
   * thread is finishing a request. Then its slot must not be reused yet.
   */
  withdraw(): boolean {
    let isDone = true;
    for (const assignment of this.used) if (!assignment.withdraw()) isDone = false;
    return isDone;
  }
}
