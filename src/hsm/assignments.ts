/**
 * Assignments: which client has which slot of a VM: a SlotAssignment for each slot, and what they share.
 *
 * Called by: VmRequests, which assigns; VmClients, when a client ends; UserVm's inspection, the debugger, CLEAR.
 * Callers must: take the ticket first, whatever ends an assignment (an answer, its time limit, CLEAR, a reset).
 */

import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { SharedWords } from '../sync/shared-words.js';
import type { IoClient } from './io-client.js';
import { RequestFinisher } from './request-finisher.js';
import type { RequestGate } from './request-gate.js';
import { SlotAssignment, type SharedAssignmentParts } from './slot-assignment.js';

const MAX_TICKET = 0x7fff_ffff;

export interface AssignmentsOptions {
  readonly buffer: SharedBuffer;
  readonly hypercalls: Pick<Hypercalls, 'vcpuCount' | 'notifyRequestFinish'>;
  /** The completion hypercall was refused. */
  readonly onRefused?: (vcpu: number, result: number) => void;
}

export class Assignments implements SharedAssignmentParts {
  readonly tickets = new SharedWords(SLOT_COUNT);
  readonly finisher: RequestFinisher;
  /** May hold requests and answers. Undefined in a VM that is not debugged. */
  gate: RequestGate | undefined = undefined;
  /** Of the vCPUs that the VM has. */
  readonly used: readonly SlotAssignment[];
  readonly #all: readonly SlotAssignment[];
  #nextTicket = 0;

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

  nextTicket(): number {
    this.#nextTicket = this.#nextTicket === MAX_TICKET ? 1 : this.#nextTicket + 1;
    return this.#nextTicket;
  }

  /** Slots assigned to `client` and not finished: bit n for slot n. */
  slotsOf(client: IoClient): number {
    let bits = 0;
    for (const assignment of this.used)
      if (assignment.owner === client && assignment.isAssigned) bits |= 1 << assignment.vcpu;
    return bits;
  }

  /** Finishes, as all ones, every request that `client` has not finished. See SlotAssignment.finishForced. */
  finishAllOf(client: IoClient): void {
    for (const assignment of this.used) if (assignment.owner === client) assignment.finishForced();
  }

  /** Finishes `client`'s request in slot `vcpu` with the value in the page. Returns 0 or the result of the hypercall. */
  finishAsIs(client: IoClient, vcpu: number): number {
    const assignment = this.of(vcpu);
    return assignment.owner === client ? assignment.finishAsIs() : 0;
  }

  /**
   * When the VM is reset: later answers belong to requests that no longer exist. Returns false while a thread is finishing
   * a request: its slot must not be used for another one yet.
   */
  withdraw(): boolean {
    let isDone = true;
    for (const assignment of this.used) if (!assignment.withdraw()) isDone = false;
    return isDone;
  }
}
