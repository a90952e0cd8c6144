/**
 * VmRequests: one User VM's page and clients. The worker calls `dispatch`; clients finish through their requests;
 * whoever resets the VM calls `clear` and `withdraw`. All in the Service VM's thread, except that clients may finish
 * from other threads.
 */

import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { errorText } from '../io-request/error-text.js';
import { IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import { AddressMap } from './address-map.js';
import type { AddressRange } from './address-range.js';
import { Assignments } from './assignments.js';
import type { HsmObserver } from './hsm-observer.js';
import type { IoClient } from './io-client.js';
import { HSM_NAME, type RequestGate } from './request-gate.js';
import { PciConfigAccess, PciConfigResult } from './pci-config-access.js';
import { TimeLimit, type LatePolicy } from './time-limit.js';

const EINVAL = -22;
const EEXIST = -17;
/** CLEAR waits for the clients at most so often, so long each time; the driver's numbers. */
export const CLEAR_ROUNDS = 10;
export const CLEAR_SLEEP_MS = 10;

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
  readonly #buffer: SharedBuffer;
  /** Of the vCPUs that the VM has. */
  readonly #slots: readonly Slot[];
  readonly #observer: HsmObserver;
  readonly #map = new AddressMap<IoClient>();
  readonly #options: VmRequestsOptions;
  readonly #assignments: Assignments;
  /** PENDING slots that nobody serves: they wait for the next upcall and give the worker no reason to stay awake. */
  readonly #stalled: boolean[] = Array.from({ length: SLOT_COUNT }, () => false);
  #hasStalled = false;
  readonly #timeLimit: TimeLimit;
  #sideWork: readonly SideWork[] = [];
  #defaultClient: IoClient | undefined;
  #isClearing = false;
  #gate: RequestGate | undefined;
  #isRelaying = false;

  constructor(options: VmRequestsOptions) {
    this.#options = options;
    this.vmId = options.vmId;
    this.#buffer = options.buffer;
    this.#vcpuCount = options.hypercalls.vcpuCount;
    this.#observer = options.observer;
    this.#slots = options.buffer.slots.slice(0, this.#vcpuCount);
    this.#assignments = new Assignments(options.buffer, this.#vcpuCount, (vcpu) => this.#notify(vcpu));
    this.#timeLimit = new TimeLimit(
      options.clientTimeoutMs,
      (vcpu) => (this.#gate?.hasAnswer(vcpu) === true ? 0 : this.#assignments.tickets.load(vcpu)),
      (vcpu, elapsedMs) => this.#late(vcpu, elapsedMs),
    );
  }

  /** Newest first, without the default client. */
  get clients(): readonly IoClient[] {
    return this.#map.clients();
  }

  get defaultClient(): IoClient | undefined {
    return this.#defaultClient;
  }

  /** Between CLEAR's start and end, and between this set to true and false: new requests are completed unhandled. */
  set isClearing(clearing: boolean) {
    this.#isClearing = clearing;
  }

  /** Whoever may hold requests. `isRelaying`: also the answers of clients in threads of their own. */
  setGate(gate: RequestGate | undefined, isRelaying: boolean): void {
    this.#gate = gate;
    this.#assignments.gate = gate;
    if (isRelaying === this.#isRelaying) return;
    this.#isRelaying = isRelaying;
    for (const client of this.#map.clients()) client.relay?.(isRelaying);
    this.#defaultClient?.relay?.(isRelaying);
  }

  /** The gate lets the PENDING request of slot `vcpu` go: at the next pass, which the caller asks the worker for. */
  retry(vcpu: number): void {
    this.#stalled[vcpu] = false;
  }

  /** Gives an answer that the gate has held. False: the request was ended in another way. */
  finishHeld(vcpu: number, ticket: number, low: number, high: number): boolean {
    return this.#assignments.finishHeld(vcpu, ticket, low, high);
  }

  /** Who has, or had last, the request of slot `vcpu`. */
  ownerOf(vcpu: number): IoClient | undefined {
    return this.#assignments.owner(vcpu);
  }

  createClient(client: IoClient, ranges: readonly AddressRange[] = []): void {
    // First, because it may throw; then nothing was added.
    this.#connect(client);
    this.#map.addClient(client);
    for (const range of ranges) this.#map.addRange(client, range);
  }

  /** −EEXIST when there is one. */
  createDefaultClient(client: IoClient): number {
    if (this.#defaultClient !== undefined) return EEXIST;
    this.#connect(client);
    this.#defaultClient = client;
    return 0;
  }

  addSideWork(work: SideWork): void {
    this.#sideWork = [...this.#sideWork, work];
  }

  addRange(client: IoClient, range: AddressRange): boolean {
    return this.#map.addRange(client, range);
  }

  removeRange(client: IoClient, range: AddressRange): boolean {
    return this.#map.removeRange(client, range);
  }

  ranges(client: IoClient): readonly AddressRange[] {
    return this.#map.ranges(client);
  }

  /**
   * Takes a client out. Its unfinished requests finish as all ones: nobody else can answer them. The caller pauses the
   * worker around this (HypervisorServiceModule.destroyClient).
   */
  destroyClient(client: IoClient): void {
    if (this.#defaultClient === client) this.#defaultClient = undefined;
    else this.#map.removeClient(client);
    try {
      client.disconnected?.();
    } finally {
      this.finishAllOf(client);
    }
  }

  /** See Assignments: for a client whose thread has ended. */
  finishAllOf(client: IoClient): void {
    const observer = this.#observer;
    observer.forcing?.(true);
    this.#assignments.finishAllOf(client);
    observer.forcing?.(false);
  }

  /** Slots assigned to `client` and not finished: bit n for slot n. */
  assignedSlots(client: IoClient): number {
    return this.#assignments.slotsOf(client);
  }

  isAssigned(vcpu: number): boolean {
    return this.#assignments.isAssigned(vcpu);
  }

  /** Whether a PENDING slot waits that the last pass did not already give up on: the last look before the worker sleeps. */
  hasPending(): boolean {
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++)
      if (this.#slots[vcpu]?.state === IoRequestState.PENDING && this.#stalled[vcpu] !== true) return true;
    return this.#hasSideWork();
  }

  /** The same without ordering, for the worker's loops. */
  glimpsesPending(): boolean {
    const slots = this.#slots;
    for (let vcpu = 0; vcpu < slots.length; vcpu++)
      if (slots[vcpu]?.glimpsedState === IoRequestState.PENDING && this.#stalled[vcpu] !== true) return true;
    return this.#hasSideWork();
  }

  /**
   * Step d for every PENDING slot, in vCPU order. A request that nobody serves ends the pass with −EINVAL, as in the
   * driver: the VM's remaining slots wait for the next upcall.
   */
  dispatch(): number {
    if (this.#hasStalled) this.#forgetStalled();
    if (this.#sideWork.length > 0) for (const work of this.#sideWork) work.run();
    const slots = this.#slots;
    for (let vcpu = 0; vcpu < slots.length; vcpu++) {
      const slot = slots[vcpu] as Slot;
      // Looked at again with ordering, before anything else of the slot is read.
      if (slot.glimpsedState !== IoRequestState.PENDING || slot.state !== IoRequestState.PENDING) continue;
      if (this.#dispatchSlot(slot)) continue;
      for (const later of slots.slice(vcpu)) this.#stalled[later.vcpu] = later.state === IoRequestState.PENDING;
      this.#hasStalled = true;
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
    const client = this.#defaultClient;
    if (client === undefined) return 0;
    if (vcpu >= this.#vcpuCount) return EINVAL;
    return this.#assignments.completeAsIs(client, vcpu);
  }

  /** CLEAR_VM_IOREQ: waits a bounded time for the clients, then completes what the default client still has. */
  async clear(): Promise<void> {
    this.#isClearing = true;
    let busy = this.#busyClient();
    for (let round = 0; busy !== undefined && round < CLEAR_ROUNDS; round++) {
      await this.#sleep(CLEAR_SLEEP_MS);
      if (round === CLEAR_ROUNDS - 1)
        this.#observer.event({ kind: 'flush-timeout', vmId: this.vmId, client: busy.name });
      busy = this.#busyClient();
    }
    const client = this.#defaultClient;
    if (client !== undefined)
      for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) this.#assignments.completeAsIs(client, vcpu);
    this.#isClearing = false;
  }

  /** When the VM is reset, see Assignments. False while a thread is completing a request at this moment. */
  withdraw(): boolean {
    this.#forgetStalled();
    return this.#assignments.withdraw();
  }

  #forgetStalled(): void {
    this.#stalled.fill(false);
    this.#hasStalled = false;
  }

  #hasSideWork(): boolean {
    if (this.#sideWork.length > 0) for (const work of this.#sideWork) if (work.hasWork) return true;
    return false;
  }

  /** Finishes everything and takes all clients out: the VM is gone. */
  close(): void {
    this.#timeLimit.stop();
    for (const client of this.#map.clients()) this.#takeOut(client);
    if (this.#defaultClient !== undefined) this.#takeOut(this.#defaultClient);
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
    const { type, addressLow, addressHigh, size, sizeHigh } = request;
    const found = this.#map.find(type, addressLow, addressHigh, size, sizeHigh);
    const client = found ?? this.#defaultClient;
    if (client === undefined) return false;
    if (gate !== undefined && gate.holdsPending(request, client.name)) return this.#stall(vcpu);
    observer.assigning?.(client);
    const ticket = this.#assignments.assign(slot, client, found !== undefined);
    if (ticket === 0) return true;
    try {
      client.notify(request);
    } catch (error) {
      this.#fail(client, error);
    }
    // Not before: most clients have answered by now, and the vCPU does not wait for those who count.
    observer.dispatched?.(this.vmId, request, client);
    if (this.#assignments.tickets.glimpse(vcpu) === ticket) this.#timeLimit.watch(vcpu, ticket);
    return true;
  }

  /** Held by the gate: as good as served. */
  #stall(vcpu: number): true {
    this.#stalled[vcpu] = true;
    this.#hasStalled = true;
    return true;
  }

  /** A client that cannot do its work loses its requests and its ranges. */
  #fail(client: IoClient, error: unknown): void {
    this.#expel(client);
    this.#observer.event({
      kind: 'client-failed',
      vmId: this.vmId,
      client: client.name,
      ...errorText(error),
    });
  }

  /** Whether the client keeps the request. */
  #late(vcpu: number, elapsedMs: number): boolean {
    const client = this.#assignments.owner(vcpu);
    if (client === undefined) return false;
    const { clientTimeoutMs: limitMs, late: policy = 'all-ones', observer } = this.#options;
    const request = this.#assignments.request(vcpu).describe();
    // Asked before it is taken out, told afterwards: whoever hears it may put another client there at once.
    const position = client.explain?.(vcpu);
    if (policy === 'all-ones') this.#expel(client);
    const { vmId } = this;
    observer.event({
      kind: 'client-late',
      vmId,
      client: client.name,
      vcpu,
      request,
      limitMs,
      elapsedMs,
      policy,
      ...position,
    });
    return policy === 'wait';
  }

  /** The default client stays: without one, unclaimed accesses would wait for ever. */
  #expel(client: IoClient): void {
    if (client === this.#defaultClient) this.finishAllOf(client);
    else this.#takeOut(client);
  }

  /** For clients that nobody asked to destroy here: one that throws at its end keeps nobody from going on. */
  #takeOut(client: IoClient): void {
    try {
      this.destroyClient(client);
    } catch (error) {
      this.#observer.event({
        kind: 'client-failed',
        vmId: this.vmId,
        client: client.name,
        ...errorText(error),
      });
    }
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

  #connect(client: IoClient): void {
    const shared = this.#options.hypercalls.shared;
    if (shared !== undefined)
      client.connect?.({ page: this.#buffer.page, tickets: this.#assignments.tickets.buffer, shared: shared.handle });
    if (this.#isRelaying) client.relay?.(true);
  }

  #busyClient(): IoClient | undefined {
    return this.#map.clients().find((client) => this.assignedSlots(client) !== 0);
  }

  #sleep(ms: number): Promise<void> {
    return this.#options.sleep?.(ms) ?? new Promise((resolve) => setTimeout(resolve, ms));
  }
}
