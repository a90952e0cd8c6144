/**
 * VmRequests: dispatches the PENDING requests of one User VM's page to its clients.
 *
 * Called by: the worker, which polls `work` and calls `dispatch`; the VM's life cycle, which calls
 * `clear`, `withdraw` and `close`; the ioctls (acrn-hsm/), which call `finishDefault`; the
 * debugger, which calls `setGate`. Other code uses `clients` (range → client) or `assignments`
 * (slot → client).
 * Threads: the Service VM's. Clients in threads of their own finish their requests in those
 * (request-finisher.ts).
 */

import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { Errno } from '../io-request/errno.js';
import { HSM_NAME } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { backgroundTiming } from '../sync/host-timing.js';
import type { Timing } from '../sync/timer-lateness.js';
import type { AssignedRequest } from './assigned-request.js';
import { Assignments } from './assignments.js';
import { waitForClients } from './clear-wait.js';
import type { HsmObserver } from './hsm-observer.js';
import type { IoClient } from './io-client.js';
import type { LatePolicy } from './late-policy.js';
import { PciConfigAccess, PciConfigResult } from './pci-config-access.js';
import { PendingWork } from './pending-work.js';
import type { RequestGate } from './request-gate.js';
import type { SlotAssignment } from './slot-assignment.js';
import { ThreadHolder } from './thread-holder.js';
import { TimeLimit } from './time-limit.js';
import { VmClients } from './vm-clients.js';

export interface VmRequestsOptions {
  readonly vmId: number;
  readonly buffer: SharedBuffer;
  /** Without `shared`, clients cannot finish in threads of their own. */
  readonly hypercalls: Pick<Hypercalls, 'vcpuCount' | 'notifyRequestFinish'> & Partial<Pick<Hypercalls, 'shared'>>;
  readonly observer: HsmObserver;
  /** How long a client may take for a request, in ms. Infinity: no limit. */
  readonly clientTimeoutMs: number;
  /** What happens to a request that takes longer. Default: `all-ones`. */
  readonly late?: LatePolicy;
  /** How CLEAR sleeps between two checks. Default: a timer. For tests. */
  readonly sleep?: (ms: number) => Promise<void>;
  /**
   * Shared by the VMs of one thread. Default: one of its own, whose processor time is always 0: if
   * the event loop was blocked and no client blocked it, the process counts as stopped.
   */
  readonly holder?: ThreadHolder;
  /** For the time limit. Default: the host's. */
  readonly timing?: Timing;
}

export class VmRequests {
  readonly vmId: number;
  readonly pciConfig = new PciConfigAccess();
  readonly assignments: Assignments;
  readonly clients: VmClients;
  readonly work: PendingWork;
  readonly #observer: HsmObserver;
  readonly #sleep: ((ms: number) => Promise<void>) | undefined;
  readonly #timeLimit: TimeLimit;
  readonly #holder: ThreadHolder;
  readonly #timing: Timing;
  #isClearing = false;

  constructor(options: VmRequestsOptions) {
    const { vmId, buffer, hypercalls, observer, clientTimeoutMs: limitMs, late: latePolicy = 'all-ones' } = options;
    this.vmId = vmId;
    this.#observer = observer;
    this.#sleep = options.sleep;
    this.#holder = options.holder ?? new ThreadHolder(() => 0);
    this.#timing = options.timing ?? backgroundTiming;
    const assignments = new Assignments({
      buffer,
      hypercalls,
      onRefused: (vcpu, result) => observer.event({ kind: 'notify-failed', vmId, vcpu, result }),
    });
    this.assignments = assignments;
    this.work = new PendingWork(assignments.used);
    const { shared } = hypercalls;
    const finisher = shared && { page: buffer.page, tickets: assignments.tickets.buffer, shared: shared.handle };
    this.clients = new VmClients({ vmId, assignments, observer, finisher, limitMs, latePolicy });
    this.#timeLimit = new TimeLimit({
      limitMs,
      assignments: assignments.used,
      holder: this.#holder,
      onLate: (assignment, elapsedMs) => this.clients.late(assignment, elapsedMs),
      onExtended: ({ vcpu, owner, request }, elapsedMs, hold) =>
        observer.event({
          kind: 'limit-extended',
          vmId,
          client: owner?.name ?? '',
          vcpu,
          request: request.describe(),
          limitMs,
          elapsedMs,
          ...hold,
        }),
      timing: this.#timing,
    });
  }

  /**
   * While it is set, new requests are completed with the value that they have, as during CLEAR.
   * Called by conformance scripts, which play a CLEAR step by step.
   */
  set isClearing(clearing: boolean) {
    this.#isClearing = clearing;
  }

  /**
   * `gate` may hold requests from now on. `isRelaying`: also the answers of clients in threads of
   * their own.
   */
  setGate(gate: RequestGate | undefined, isRelaying: boolean): void {
    this.assignments.gate = gate;
    this.clients.relay(isRelaying);
  }

  /**
   * Gives every PENDING slot to its client, in vCPU order (step d in ARCHITECTURE.md). Requests
   * during CLEAR, and those that PciConfigAccess answers, are completed here. Returns 0. A request
   * without a client ends the pass with −EINVAL, as in the driver. The VM's remaining slots then
   * wait for the next pass.
   */
  dispatch(): number {
    this.work.beginPass();
    const assignments = this.assignments.used;
    for (let vcpu = 0; vcpu < assignments.length; vcpu++) {
      const assignment = assignments[vcpu] as SlotAssignment;
      const { slot } = assignment;
      // The ordered read of the state must come before the first read of a field.
      if (slot.relaxedState !== IoRequestState.PENDING || slot.state !== IoRequestState.PENDING) continue;
      if (this.#dispatchSlot(assignment)) continue;
      this.work.stallFrom(vcpu);
      this.#observer.event({ kind: 'no-client', vmId: this.vmId, vcpu });
      return Errno.EINVAL;
    }
    return 0;
  }

  /**
   * NOTIFY_REQUEST_FINISH: ACRN userspace has put its result, if any, into the page and finishes
   * slot `vcpu`. Returns 0 without a default client, and −EINVAL for a vCPU that does not exist. If
   * the default client does not own the slot, does nothing and returns 0. Otherwise returns the
   * result of the hypercall, or 0 if none is made. The driver would complete such a slot in any
   * state.
   */
  finishDefault(vcpu: number): number {
    const client = this.clients.default;
    if (client === undefined) return 0;
    if (vcpu >= this.assignments.used.length) return Errno.EINVAL;
    return this.assignments.finishAsIs(client, vcpu);
  }

  /**
   * CLEAR_VM_IOREQ: waits a bounded time for the clients, then completes the default client's
   * requests.
   */
  async clear(): Promise<void> {
    this.#isClearing = true;
    await waitForClients({
      vmId: this.vmId,
      clients: () => this.clients.all,
      assignments: this.assignments,
      observer: this.#observer,
      sleep: this.#sleep,
    });
    const client = this.clients.default;
    if (client !== undefined) for (const { vcpu } of this.assignments.used) this.assignments.finishAsIs(client, vcpu);
    this.#isClearing = false;
  }

  /** When the VM is reset. Returns false while a thread is finishing a request at this moment. */
  withdraw(): boolean {
    this.work.retryAll();
    return this.assignments.withdraw();
  }

  /** When the VM ends: finishes every assigned request and removes all clients. */
  close(): void {
    this.#timeLimit.stop();
    this.clients.close();
  }

  /** Returns false if no client serves the request. Then the slot stays PENDING. */
  #dispatchSlot(assignment: SlotAssignment): boolean {
    const { slot, request } = assignment;
    const { assignments } = this;
    if (this.#isClearing) {
      assignments.finisher.complete(slot.vcpu, IoRequestState.PENDING);
      return true;
    }
    slot.copyTo(request);
    const observer = this.#observer;
    const { gate } = assignments;
    if (request.type === IoRequestType.PORT) {
      if (gate !== undefined && this.pciConfig.answers(request) && gate.holdsPending(request, HSM_NAME))
        return this.#stall(assignment);
      if (this.pciConfig.handle(slot, request) === PciConfigResult.ANSWERED) {
        observer.dispatched?.(this.vmId, request, undefined);
        assignments.finisher.complete(slot.vcpu, IoRequestState.PENDING);
        return true;
      }
    }
    const found = this.clients.find(request);
    const client = found ?? this.clients.default;
    if (client === undefined) return false;
    if (gate !== undefined && gate.holdsPending(request, client.name)) return this.#stall(assignment);
    observer.assigning?.(client);
    const ticket = assignment.assign(client, found !== undefined);
    // Another writer took the slot out of PENDING: there is nothing left to serve.
    if (ticket === 0) return true;
    this.#notify(client, request);
    // Count after notify(): the vCPU is usually running again by now.
    observer.dispatched?.(this.vmId, request, client);
    if (assignment.isUnanswered(ticket)) this.#timeLimit.watch(assignment, ticket);
    return true;
  }

  #notify(client: IoClient, request: AssignedRequest): void {
    const startMs = this.#holder.limits > 0 ? this.#timing.now() : NaN;
    try {
      client.notify(request);
    } catch (error) {
      this.clients.fail(client, error);
    }
    // While no client has a request to answer, no limit runs, and calls need not be timed.
    if (!Number.isNaN(startMs)) this.#holder.record(client.name, startMs, this.#timing.now());
  }

  /** The gate holds the request. For the pass it counts as served. */
  #stall(assignment: SlotAssignment): true {
    this.work.stall(assignment);
    return true;
  }
}
