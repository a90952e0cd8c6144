/**
 * Assignments: which client has which slot of a VM, and until when. VmRequests assigns here and asks here; whatever ends
 * an assignment (the client's answer, its time limit, CLEAR, a reset, the client's end) takes its ticket first.
 */

import { Direction, SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { SharedWords } from '../sync/shared-words.js';
import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import { AssignedRequest, type FinishRequest } from './assigned-request.js';
import type { IoClient } from './io-client.js';
import { RequestFinisher } from './request-finisher.js';
import { AnswerFate, type RequestGate } from './request-gate.js';

const MAX_TICKET = 0x7fff_ffff;

export class Assignments {
  /** Ticket of each slot’s assignment; 0: not assigned; negative: being finished. Clients in other threads take them too. */
  readonly tickets = new SharedWords(SLOT_COUNT);
  /** Whoever may hold a client's answer; undefined: nobody. */
  gate: RequestGate | undefined = undefined;
  readonly #buffer: SharedBuffer;
  readonly #vcpuCount: number;
  readonly #notify: (vcpu: number) => number;
  readonly #finisher: RequestFinisher;
  readonly #requests: readonly AssignedRequest[];
  /** Who slot n was last assigned to. Valid while its ticket stands. */
  readonly #owners: (IoClient | undefined)[] = Array.from({ length: SLOT_COUNT });
  /** Whether that client answers in this thread: then nobody else can take the ticket, and plain words will do. */
  readonly #isLocal: boolean[] = Array.from({ length: SLOT_COUNT }, () => false);
  #nextTicket = 0;

  /** `notify` makes the completion hypercall. */
  constructor(buffer: SharedBuffer, vcpuCount: number, notify: (vcpu: number) => number) {
    this.#buffer = buffer;
    this.#vcpuCount = vcpuCount;
    this.#notify = notify;
    const finisher = (this.#finisher = new RequestFinisher(buffer, this.tickets, notify));
    const finish: FinishRequest = (request, ticket, low, high) => {
      const { vcpu, type, direction } = request;
      if (this.gate !== undefined && this.tickets.loadRelaxed(vcpu) === ticket && ticket > 0) {
        const fate = this.gate.holdsAnswer(request, this.#owners[vcpu]?.name ?? '', ticket, low, high);
        if (fate !== AnswerFate.PASS) return fate === AnswerFate.HELD;
      }
      return this.#isLocal[vcpu] === true
        ? finisher.finishHere(vcpu, ticket, type, direction, low, high)
        : finisher.finish(vcpu, ticket, type, direction, low, high);
    };
    this.#requests = Array.from({ length: SLOT_COUNT }, (_, vcpu) => new AssignedRequest(vcpu, finish));
  }

  /** The HSM's copy of the request in a slot; one object for each slot. */
  request(vcpu: number): AssignedRequest {
    return this.#requests[vcpu] as AssignedRequest;
  }

  owner(vcpu: number): IoClient | undefined {
    return this.#owners[vcpu];
  }

  isAssigned(vcpu: number): boolean {
    return this.tickets.load(vcpu) !== 0;
  }

  /** Step d. The new ticket; 0 when somebody who does not own the slot moved it on: it is not ours any more. */
  assign(slot: Slot, client: IoClient, kernelHandled: boolean): number {
    const { vcpu } = slot;
    const ticket = (this.#nextTicket = this.#nextTicket === MAX_TICKET ? 1 : this.#nextTicket + 1);
    (this.#requests[vcpu] as AssignedRequest).ticket = ticket;
    this.#owners[vcpu] = client;
    const isLocal = (this.#isLocal[vcpu] = client.connect === undefined);
    if (isLocal) this.tickets.storeRelaxed(vcpu, ticket);
    else this.tickets.store(vcpu, ticket);
    if (slot.assign(kernelHandled)) return ticket;
    this.tickets.store(vcpu, 0);
    return 0;
  }

  /** Finishes a request whatever the gate would say to it. False: too late. */
  finishNow(vcpu: number, ticket: number, low: number, high: number): boolean {
    const { type, direction } = this.request(vcpu);
    return this.#finisher.finish(vcpu, ticket, type, direction, low, high);
  }

  /** Slots assigned to `client` and not finished: bit n for slot n. */
  slotsOf(client: IoClient): number {
    let bits = 0;
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++)
      if (this.#owners[vcpu] === client && this.isAssigned(vcpu)) bits |= 1 << vcpu;
    return bits;
  }

  /**
   * Finishes, as all ones, every request that `client` has not finished. Also for a thread that died between taking a
   * ticket and completing; while it lives, what it is about to complete is left to it, and this is called again at its end.
   */
  finishAllOf(client: IoClient): void {
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) {
      if (this.#owners[vcpu] !== client) continue;
      const request = this.request(vcpu);
      this.finishNow(vcpu, this.tickets.load(vcpu), -1, -1);
      const taken = this.tickets.load(vcpu);
      if (taken < 0 && client.isRunning === true) continue;
      if (this.#buffer.slot(vcpu).state === IoRequestState.PROCESSING)
        this.#finisher.completeTaken(vcpu, request.type, request.direction, -1, -1);
      else if (taken < 0) this.#notify(vcpu);
      this.tickets.store(vcpu, 0);
      this.#owners[vcpu] = undefined;
    }
  }

  /** Completes `client`'s request in slot `vcpu` with the value that stands in the page. 0, or what the hypercall gave. */
  completeAsIs(client: IoClient, vcpu: number): number {
    const ticket = this.tickets.load(vcpu);
    if (this.#owners[vcpu] !== client || ticket <= 0 || !this.tickets.move(vcpu, ticket, 0)) return 0;
    const { type } = this.request(vcpu);
    return this.#finisher.completeTaken(vcpu, type, Direction.WRITE, 0, 0);
  }

  /**
   * When the VM is reset: answers that are still to come belong to requests that no longer exist. False while a thread is
   * completing one at this moment: its slot must not be used for another request yet.
   */
  withdraw(): boolean {
    let isDone = true;
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) {
      const ticket = this.tickets.load(vcpu);
      if (ticket > 0) this.tickets.move(vcpu, ticket, 0);
      if (this.tickets.load(vcpu) !== 0) isDone = false;
      else this.#owners[vcpu] = undefined;
    }
    return isDone;
  }
}
