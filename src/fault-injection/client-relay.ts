/**
 * ClientRelay: lets the Service VM's thread take part in what a client in another thread answers. The client is connected
 * to a page, tickets and interrupt lines of its own, as if to a VM of its own; what it completes there, and the lines that
 * it drives, arrive here. The client needs to know nothing of it.
 *
 * Lines come before the answer that followed them, as the client made them. Used only where answers may have to go
 * wrong: a client that is not relayed finishes its requests in its own thread.
 */

import { Assignments } from '../hsm/assignments.js';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import type { ClientFinisher } from '../hsm/request-finisher.js';
import type { InterruptController } from '../hypervisor/interrupt-lines.js';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { copyAccess } from './request-words.js';

export type RelayedAnswer = (vcpu: number, ticket: number, low: number, high: number) => void;

export class ClientRelay implements InterruptController {
  /** For the client, in place of the VM's own. */
  readonly finisher: ClientFinisher;
  readonly #answer: RelayedAnswer;
  readonly #setLine: (gsi: number, high: boolean) => void;
  readonly #buffer = new SharedBuffer();
  readonly #shared = new VmSharedState();
  readonly #assignments: Assignments;
  /** The HSM's ticket of the request in each slot. */
  readonly #tickets = new Int32Array(SLOT_COUNT);
  #pumped = 0;
  #isClosed = false;

  constructor(answer: RelayedAnswer, setLine: (gsi: number, high: boolean) => void) {
    this.#answer = answer;
    this.#setLine = setLine;
    this.#assignments = new Assignments(this.#buffer, SLOT_COUNT, (vcpu) => {
      this.#shared.doorbell(vcpu).ring();
      return 0;
    });
    this.finisher = {
      page: this.#buffer.page,
      tickets: this.#assignments.tickets.buffer,
      shared: this.#shared.handle,
    };
    // Lines ring the doorbell of vCPU 0.
    this.#pump(0);
  }

  /** Hands `request` to the client by way of this page. */
  post(client: IoClient, request: AssignedRequest): void {
    const { vcpu, ticket } = request;
    if (this.#isClosed) return;
    if (!this.#withdraw(vcpu)) {
      // The client's thread is completing an earlier one, which the VM withdrew, at this very moment.
      setImmediate(() => {
        if (request.ticket === ticket) this.post(client, request);
      });
      return;
    }
    this.#pump(vcpu);
    this.#tickets[vcpu] = ticket;
    const slot = this.#buffer.slot(vcpu);
    const { type, direction, addressLow, addressHigh, size, valueLow, valueHigh } = request;
    slot.fill(type, direction, addressLow, addressHigh, size, valueLow, valueHigh, false);
    const posted = this.#assignments.request(vcpu);
    copyAccess(request, posted);
    this.#assignments.assign(slot, client, true);
    client.notify(posted);
  }

  /** The VM is reset: what the client has not acted on yet it must not act on any more. */
  withdraw(): void {
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) this.#withdraw(vcpu);
  }

  close(): void {
    this.#isClosed = true;
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) this.#shared.doorbell(vcpu).ring();
  }

  raise(line: number): void {
    this.#setLine(line, true);
  }

  lower(line: number): void {
    this.#setLine(line, false);
  }

  /** Makes a slot FREE whose request the VM gave up. False: not yet. */
  #withdraw(vcpu: number): boolean {
    const { tickets } = this.#assignments;
    const ticket = tickets.load(vcpu);
    if (ticket > 0) this.#assignments.request(vcpu).finishAllOnes(ticket);
    if (tickets.load(vcpu) !== 0) return false;
    this.#tickets[vcpu] = 0;
    const slot = this.#buffer.slot(vcpu);
    return slot.state === IoRequestState.FREE || slot.release();
  }

  #pump(vcpu: number): void {
    if ((this.#pumped & (1 << vcpu)) !== 0) return;
    this.#pumped |= 1 << vcpu;
    void this.#forward(vcpu);
  }

  async #forward(vcpu: number): Promise<void> {
    const slot = this.#buffer.slot(vcpu);
    const { lines } = this.#shared;
    const hasWork = (): boolean =>
      this.#isClosed || slot.state === IoRequestState.COMPLETE || (vcpu === 0 && lines.changed);
    for (;;) {
      await this.#shared.doorbell(vcpu).wait(hasWork);
      if (this.#isClosed) return;
      const isComplete = slot.state === IoRequestState.COMPLETE;
      lines.deliver(this);
      // A client that never rests must not keep the event loop from turning.
      if (isComplete && !this.#collect(vcpu)) await turn();
      else if (!isComplete) await turn();
    }
  }

  /** False: the client's thread has not let go of the slot yet. */
  #collect(vcpu: number): boolean {
    const slot = this.#buffer.slot(vcpu);
    const { valueLow, valueHigh } = slot;
    if (this.#assignments.isAssigned(vcpu) || !slot.release()) return false;
    const ticket = this.#tickets[vcpu] as number;
    this.#tickets[vcpu] = 0;
    this.#answer(vcpu, ticket, valueLow, valueHigh);
    return true;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
