/**
 * VmRequests: one User VM's page, whose PENDING requests go to its clients (vm-clients.ts). The worker calls `dispatch`;
 * clients finish through their requests; whoever resets the VM calls `clear` and `withdraw`. All in the Service VM's
 * thread, except that clients may finish from other threads.
 */

import { HSM_NAME } from '../io-request/io-request.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { IoRequestType } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import type { Poll } from '../sync/poll.js';
import type { AddressRange } from './address-range.js';
import { Assignments } from './assignments.js';
import { waitForClients } from './clear-wait.js';
import type { HsmObserver } from './hsm-observer.js';
import type { IoClient } from './io-client.js';
import type { RequestGate } from './request-gate.js';
import { PciConfigAccess, PciConfigResult } from './pci-config-access.js';
import { PendingSlots } from './pending-slots.js';
import { TimeLimit, type LatePolicy } from './time-limit.js';
import { VmClients } from './vm-clients.js';

const EINVAL = -22;

export interface VmRequestsOptions {
  readonly vmId: number;
  readonly buffer: SharedBuffer;
  readonly hypercalls: Pick<Hypercalls, 'vcpuCount' | 'notifyRequestFinish'> & Partial<Pick<Hypercalls, 'shared'>>;
  readonly observer: HsmObserver;
  /** How long a client may take for a request, in ms; Infinity switches the limit off. */
  readonly clientTimeoutMs: number;
  /** What becomes of a request that takes longer; `all-ones` unless given. */
  readonly late?: LatePolicy;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** What else the worker does for a VM at each pass: the rings of asynchronous I/O and VM events. */
export interface SideWork {
  readonly hasWork: boolean;
  run(): void;
}

export class VmRequests {
  readonly vmId: number;
  readonly pciConfig = new PciConfigAccess();
  readonly #vcpuCount: number;
  /** Of the vCPUs that the VM has. */
  readonly #slots: readonly Slot[];
  readonly #observer: HsmObserver;
  readonly #options: VmRequestsOptions;
  readonly #assignments: Assignments;
  readonly #clients: VmClients;
  readonly #pending: PendingSlots;
  /** Whether the next pass has anything to do. */
  readonly work: Poll = {
    relaxed: () => this.#pending.relaxed() || this.#hasSideWork(),
    ordered: () => this.#pending.ordered() || this.#hasSideWork(),
  };
  readonly #timeLimit: TimeLimit;
  #sideWork: readonly SideWork[] = [];
  #isClearing = false;
  #gate: RequestGate | undefined;

  constructor(options: VmRequestsOptions) {
    const { vmId, buffer, hypercalls, observer, clientTimeoutMs: limitMs, late: latePolicy = 'all-ones' } = options;
    this.#options = options;
    this.vmId = vmId;
    this.#vcpuCount = hypercalls.vcpuCount;
    this.#observer = observer;
    this.#slots = buffer.slots.slice(0, this.#vcpuCount);
    this.#pending = new PendingSlots(this.#slots);
    const assignments = new Assignments(buffer, this.#vcpuCount, (vcpu) => this.#notify(vcpu));
    this.#assignments = assignments;
    const { shared } = hypercalls;
    const finisher = shared && { page: buffer.page, tickets: assignments.tickets.buffer, shared: shared.handle };
    this.#clients = new VmClients({ vmId, assignments, observer, finisher, limitMs, latePolicy });
    this.#timeLimit = new TimeLimit(
      limitMs,
      (vcpu) => (this.#gate?.hasAnswer(vcpu) === true ? 0 : assignments.tickets.load(vcpu)),
      (vcpu, elapsedMs) => this.#clients.late(vcpu, elapsedMs),
    );
  }

  /** Newest first, without the default client. */
  get clients(): readonly IoClient[] {
    return this.#clients.all;
  }

  get defaultClient(): IoClient | undefined {
    return this.#clients.default;
  }

  /** Between CLEAR's start and end, and between this set to true and false: new requests are completed unhandled. */
  set isClearing(clearing: boolean) {
    this.#isClearing = clearing;
  }

  /** Whoever may hold requests. `isRelaying`: also the answers of clients in threads of their own. */
  setGate(gate: RequestGate | undefined, isRelaying: boolean): void {
    this.#gate = gate;
    this.#assignments.gate = gate;
    this.#clients.relay(isRelaying);
  }

  /** The gate lets the PENDING request of slot `vcpu` go: at the next pass, which the caller asks the worker for. */
  retry(vcpu: number): void {
    this.#pending.retry(vcpu);
  }

  /** Gives an answer that the gate has held. False: the request was ended in another way. */
  finishNow(vcpu: number, ticket: number, low: number, high: number): boolean {
    return this.#assignments.finishNow(vcpu, ticket, low, high);
  }

  /** Who has, or had last, the request of slot `vcpu`. */
  ownerOf(vcpu: number): IoClient | undefined {
    return this.#assignments.owner(vcpu);
  }

  createClient(client: IoClient, ranges: readonly AddressRange[] = []): void {
    this.#clients.add(client, ranges);
  }

  /** −EEXIST when there is one. */
  createDefaultClient(client: IoClient): number {
    return this.#clients.addDefault(client);
  }

  addSideWork(work: SideWork): void {
    this.#sideWork = [...this.#sideWork, work];
  }

  addRange(client: IoClient, range: AddressRange): boolean {
    return this.#clients.addRange(client, range);
  }

  removeRange(client: IoClient, range: AddressRange): boolean {
    return this.#clients.removeRange(client, range);
  }

  ranges(client: IoClient): readonly AddressRange[] {
    return this.#clients.ranges(client);
  }

  /**
   * Takes a client out. Its unfinished requests finish as all ones: nobody else can answer them. The caller pauses the
   * worker around this (HypervisorServiceModule.destroyClient).
   */
  destroyClient(client: IoClient): void {
    this.#clients.destroy(client);
  }

  /** See Assignments: for a client whose thread has ended. */
  finishAllOf(client: IoClient): void {
    this.#clients.finishAllOf(client);
  }

  /** Slots assigned to `client` and not finished: bit n for slot n. */
  assignedSlots(client: IoClient): number {
    return this.#assignments.slotsOf(client);
  }

  isAssigned(vcpu: number): boolean {
    return this.#assignments.isAssigned(vcpu);
  }

  /**
   * Step d for every PENDING slot, in vCPU order. A request that nobody serves ends the pass with −EINVAL, as in the
   * driver: the VM's remaining slots wait for the next upcall.
   */
  dispatch(): number {
    this.#pending.retryAll();
    if (this.#sideWork.length > 0) for (const work of this.#sideWork) work.run();
    const slots = this.#slots;
    for (let vcpu = 0; vcpu < slots.length; vcpu++) {
      const slot = slots[vcpu] as Slot;
      // Looked at again with ordering, before anything else of the slot is read.
      if (slot.relaxedState !== IoRequestState.PENDING || slot.state !== IoRequestState.PENDING) continue;
      if (this.#dispatchSlot(slot)) continue;
      this.#pending.stallFrom(vcpu);
      this.#observer.event({ kind: 'no-client', vmId: this.vmId, vcpu });
      return EINVAL;
    }
    return 0;
  }

  /**
   * NOTIFY_REQUEST_FINISH: ACRN userspace has put its result, if any, into the page and finishes slot `vcpu`. Without a
   * default client nothing is done and the result is 0. A slot that is not the default client's at present is left
   * alone, with 0, where the driver would complete whatever state it is in.
   */
  finishDefault(vcpu: number): number {
    const client = this.#clients.default;
    if (client === undefined) return 0;
    if (vcpu >= this.#vcpuCount) return EINVAL;
    return this.#assignments.completeAsIs(client, vcpu);
  }

  /** CLEAR_VM_IOREQ: waits a bounded time for the clients, then completes what the default client still has. */
  async clear(): Promise<void> {
    this.#isClearing = true;
    await waitForClients({
      vmId: this.vmId,
      clients: () => this.#clients.all,
      assignments: this.#assignments,
      observer: this.#observer,
      sleep: this.#options.sleep,
    });
    const client = this.#clients.default;
    if (client !== undefined)
      for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) this.#assignments.completeAsIs(client, vcpu);
    this.#isClearing = false;
  }

  /** When the VM is reset, see Assignments. False while a thread is completing a request at this moment. */
  withdraw(): boolean {
    this.#pending.retryAll();
    return this.#assignments.withdraw();
  }

  #hasSideWork(): boolean {
    if (this.#sideWork.length > 0) for (const work of this.#sideWork) if (work.hasWork) return true;
    return false;
  }

  /** Finishes everything and takes all clients out: the VM is gone. */
  close(): void {
    this.#timeLimit.stop();
    this.#clients.close();
  }

  /** False: nobody serves it, and the slot stays PENDING. */
  #dispatchSlot(slot: Slot): boolean {
    const { vcpu } = slot;
    const request = this.#assignments.request(vcpu);
    if (this.#isClearing) {
      this.#complete(slot);
      return true;
    }
    slot.copyTo(request);
    const observer = this.#observer;
    const gate = this.#gate;
    if (request.type === IoRequestType.PORT) {
      if (gate !== undefined && this.pciConfig.answers(request) && gate.holdsPending(request, HSM_NAME))
        return this.#stall(vcpu);
      if (this.pciConfig.handle(slot, request) === PciConfigResult.ANSWERED) {
        observer.dispatched?.(this.vmId, request, undefined);
        this.#complete(slot);
        return true;
      }
    }
    const found = this.#clients.find(request);
    const client = found ?? this.#clients.default;
    if (client === undefined) return false;
    if (gate !== undefined && gate.holdsPending(request, client.name)) return this.#stall(vcpu);
    observer.assigning?.(client);
    const ticket = this.#assignments.assign(slot, client, found !== undefined);
    if (ticket === 0) return true;
    try {
      client.notify(request);
    } catch (error) {
      this.#clients.fail(client, error);
    }
    // Not before: most clients have answered by now, and the vCPU does not wait for those who count.
    observer.dispatched?.(this.vmId, request, client);
    if (this.#assignments.tickets.loadRelaxed(vcpu) === ticket) this.#timeLimit.watch(vcpu, ticket);
    return true;
  }

  /** Held by the gate: as good as served. */
  #stall(vcpu: number): true {
    this.#pending.stall(vcpu);
    return true;
  }

  /** Completes a PENDING slot without a client. */
  #complete(slot: Slot): void {
    const polling = slot.completionPolling;
    if (slot.completeUnassigned() && !polling) this.#notify(slot.vcpu);
  }

  #notify(vcpu: number): number {
    const result = this.#options.hypercalls.notifyRequestFinish(vcpu);
    if (result < 0) this.#observer.event({ kind: 'notify-failed', vmId: this.vmId, vcpu, result });
    return result;
  }
}
