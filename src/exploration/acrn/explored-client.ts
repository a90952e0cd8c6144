/**
 * ExploredClient: an I/O client that answers in one of the ways that the plan names. It calls
 * `actorNote` for what it gets and does, which the invariants check.
 *
 * Called by: service-vm-actor.ts, which creates it, and the shipped HSM, in the thread of the
 * Service VM.
 */

import type { AssignedRequest } from '../../hsm/assigned-request.js';
import type { IoClient } from '../../hsm/io-client.js';
import type { ClientFinisher } from '../../hsm/request-finisher.js';
import { DeviceMailbox, MailboxControl } from '../../device-model/placement/device-mailbox.js';
import { offer } from '../engine/probe.js';
import { actorNote } from './actor-notes.js';
import { answerOf, type Answering, type VmHandles } from './world.js';

export class ExploredClient implements IoClient {
  readonly name: string;
  /** Whether the client's thread runs. False for a client without a thread. */
  isRunning: boolean;
  /**
   * Only a client with a thread has this method: the HSM then expects answers from another thread.
   */
  readonly connect?: (finisher: ClientFinisher) => void;
  readonly #vm: number;
  readonly #client: number;
  readonly #answering: Answering;
  readonly #mailbox: DeviceMailbox | undefined;

  constructor(handles: VmHandles, vm: number, client: number, answering: Answering) {
    this.name = `client ${client}`;
    this.#vm = vm;
    this.#client = client;
    this.#answering = answering;
    this.isRunning = answering === 'thread';
    this.#mailbox = answering === 'thread' ? new DeviceMailbox(handles.mailboxes[client]) : undefined;
    if (answering === 'thread')
      this.connect = (finisher) => {
        handles.finishers[client] = finisher;
      };
  }

  notify(request: AssignedRequest): void {
    const { vcpu, ticket, addressLow } = request;
    actorNote('notify', this.#vm, this.#client, vcpu, addressLow);
    if (this.#mailbox !== undefined) this.#mailbox.post(request);
    else if (this.#answering === 'at-once') this.#answer(request, ticket, addressLow);
    else if (this.#answering === 'later') offer(`answer ${vcpu}`, () => this.#answer(request, ticket, addressLow));
  }

  disconnected(): void {
    actorNote('disconnected', this.#vm, this.#client);
    this.#mailbox?.control(MailboxControl.CLOSE);
  }

  #answer(request: AssignedRequest, ticket: number, port: number): void {
    if (request.finish(ticket, answerOf(this.#client, port))) actorNote('finished', this.#vm, request.vcpu, ticket);
  }
}
