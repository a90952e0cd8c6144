/**
 * VmRequests: one User VM's page and clients. The worker calls `dispatch`; clients finish through their requests;
 * whoever resets the VM calls `clear` and `withdraw`. All in the Service VM's thread, except that clients may finish
 * from other threads.
 */

import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { errorText } from '../io-request/error-text.js';
import { Direction, IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { SharedWords } from '../io-request/shared-words.js';
import type { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import { AddressMap } from './address-map.js';
import type { AddressRange } from './address-range.js';
import { AssignedRequest } from './assigned-request.js';
import type { HsmObserver } from './hsm-observer.js';
import type { IoClient } from './io-client.js';
import { PciConfigAccess, PciConfigResult } from './pci-config-access.js';
import { RequestFinisher } from './request-finisher.js';
import { TimeLimit } from './time-limit.js';

const EINVAL = -22;
const EEXIST = -17;
/** CLEAR waits for the clients at most so often, so long each time; the driver's numbers. */
export const CLEAR_ROUNDS = 10;
export const CLEAR_SLEEP_MS = 10;
const MAX_TICKET = 0x7fff_ffff;

export interface VmRequestsOptions {
  readonly vmId: number;
  readonly buffer: SharedBuffer;
  readonly hypercalls: Pick<Hypercalls, 'vcpuCount' | 'notifyRequestFinish'> & Partial<Pick<Hypercalls, 'shared'>>;
  readonly observer: HsmObserver;
  /** How long a client may take for a request, in ms; Infinity switches the limit off. */
  readonly clientTimeoutMs: number;
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
  readonly #map = new AddressMap<IoClient>();
  readonly #options: VmRequestsOptions;
  readonly #finisher: RequestFinisher;
  readonly #requests: readonly AssignedRequest[];
  /** Ticket of each slot's assignment; 0: not assigned; negative: being finished. Clients in other threads take them too. */
  readonly #tickets = new SharedWords(SLOT_COUNT);
  /** Who slot n was last assigned to. Valid while its ticket stands. */
  readonly #owners: (IoClient | undefined)[] = Array.from({ length: SLOT_COUNT });
  /** PENDING slots that nobody serves: they wait for the next upcall and give the worker no reason to stay awake. */
  readonly #stalled: boolean[] = Array.from({ length: SLOT_COUNT }, () => false);
  readonly #timeLimit: TimeLimit;
  #sideWork: readonly SideWork[] = [];
  #defaultClient: IoClient | undefined;
  #isClearing = false;
  #nextTicket = 0;

  constructor(options: VmRequestsOptions) {
    this.#options = options;
    this.vmId = options.vmId;
    this.#buffer = options.buffer;
    this.#vcpuCount = options.hypercalls.vcpuCount;
    this.#finisher = new RequestFinisher(options.buffer, this.#tickets, (vcpu) => this.#notify(vcpu));
    this.#requests = Array.from(
      { length: SLOT_COUNT },
      (_, vcpu) => new AssignedRequest(vcpu, (slot, ticket, low, high) => this.#finish(slot, ticket, low, high)),
    );
    this.#timeLimit = new TimeLimit(
      options.clientTimeoutMs,
      (vcpu) => (this.isAssigned(vcpu) ? this.#tickets.load(vcpu) : 0),
      (vcpu) => this.#expire(vcpu),
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

  /**
   * Finishes, as all ones, every request that `client` has not finished. Also for a thread that died between taking a
   * ticket and completing; while it lives, what it is about to complete is left to it, and this is called again at its end.
   */
  finishAllOf(client: IoClient): void {
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) {
      if (this.#owners[vcpu] !== client) continue;
      const request = this.#request(vcpu);
      request.finishAllOnes(this.#tickets.load(vcpu));
      const taken = this.#tickets.load(vcpu);
      if (taken < 0 && client.isRunning === true) continue;
      if (this.#buffer.slot(vcpu).state === IoRequestState.PROCESSING)
        this.#finisher.completeTaken(vcpu, request.type, request.direction, -1, -1);
      else if (taken < 0) this.#notify(vcpu);
      this.#tickets.store(vcpu, 0);
      this.#owners[vcpu] = undefined;
    }
  }

  /** Slots assigned to `client` and not finished: bit n for slot n. */
  assignedSlots(client: IoClient): number {
    let bits = 0;
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++)
      if (this.#owners[vcpu] === client && this.isAssigned(vcpu)) bits |= 1 << vcpu;
    return bits;
  }

  isAssigned(vcpu: number): boolean {
    return this.#tickets.load(vcpu) !== 0;
  }

  /** Whether a PENDING slot waits that the last pass did not already give up on. */
  hasPending(): boolean {
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++)
      if (this.#buffer.slot(vcpu).state === IoRequestState.PENDING && this.#stalled[vcpu] !== true) return true;
    for (const work of this.#sideWork) if (work.hasWork) return true;
    return false;
  }

  /**
   * Step d for every PENDING slot, in vCPU order. A request that nobody serves ends the pass with −EINVAL, as in the
   * driver: the VM's remaining slots wait for the next upcall.
   */
  dispatch(): number {
    this.#stalled.fill(false);
    for (const work of this.#sideWork) work.run();
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) {
      const slot = this.#buffer.slot(vcpu);
      if (slot.state !== IoRequestState.PENDING) continue;
      if (this.#dispatchSlot(slot)) continue;
      for (let later = vcpu; later < this.#vcpuCount; later++)
        this.#stalled[later] = this.#buffer.slot(later).state === IoRequestState.PENDING;
      this.#options.observer.event({ kind: 'no-client', vmId: this.vmId, vcpu });
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
    return this.#completeAsIs(client, vcpu);
  }

  /** CLEAR_VM_IOREQ: waits a bounded time for the clients, then completes what the default client still has. */
  async clear(): Promise<void> {
    this.#isClearing = true;
    let busy = this.#busyClient();
    for (let round = 0; busy !== undefined && round < CLEAR_ROUNDS; round++) {
      await this.#sleep(CLEAR_SLEEP_MS);
      if (round === CLEAR_ROUNDS - 1)
        this.#options.observer.event({ kind: 'flush-timeout', vmId: this.vmId, client: busy.name });
      busy = this.#busyClient();
    }
    const client = this.#defaultClient;
    if (client !== undefined) for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) this.#completeAsIs(client, vcpu);
    this.#isClearing = false;
  }

  /**
   * When the VM is reset: answers that are still to come belong to requests that no longer exist. False while a thread is
   * completing one at this moment: its slot must not be used for another request yet.
   */
  withdraw(): boolean {
    let isDone = true;
    for (let vcpu = 0; vcpu < this.#vcpuCount; vcpu++) {
      const ticket = this.#tickets.load(vcpu);
      if (ticket > 0) this.#tickets.move(vcpu, ticket, 0);
      if (this.#tickets.load(vcpu) !== 0) isDone = false;
      else this.#owners[vcpu] = undefined;
    }
    this.#stalled.fill(false);
    return isDone;
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
    const request = this.#request(vcpu);
    if (this.#isClearing) {
      this.#complete(slot);
      return true;
    }
    copyRequest(slot, request);
    const { observer } = this.#options;
    if (request.type === IoRequestType.PORT && this.pciConfig.handle(slot, request) === PciConfigResult.ANSWERED) {
      observer.dispatched?.(this.vmId, request, undefined);
      this.#complete(slot);
      return true;
    }
    const { type, addressLow, addressHigh, size } = request;
    const found = this.#map.find(type, addressLow, addressHigh, size, slot.sizeHigh);
    const client = found ?? this.#defaultClient;
    if (client === undefined) return false;
    const ticket = (this.#nextTicket = this.#nextTicket === MAX_TICKET ? 1 : this.#nextTicket + 1);
    request.ticket = ticket;
    this.#owners[vcpu] = client;
    this.#tickets.store(vcpu, ticket);
    if (!slot.assign(found !== undefined)) {
      // Somebody who does not own the slot moved it on; it is not ours any more.
      this.#tickets.store(vcpu, 0);
      return true;
    }
    observer.dispatched?.(this.vmId, request, client);
    try {
      client.notify(request);
    } catch (error) {
      this.#fail(client, error);
      return true;
    }
    if (this.#tickets.glimpse(vcpu) === ticket) this.#timeLimit.watch(vcpu, ticket);
    return true;
  }

  /** A client that cannot do its work loses its requests and its ranges. */
  #fail(client: IoClient, error: unknown): void {
    this.#expel(client);
    this.#options.observer.event({
      kind: 'client-failed',
      vmId: this.vmId,
      client: client.name,
      ...errorText(error),
    });
  }

  #expire(vcpu: number): void {
    const client = this.#owners[vcpu];
    if (client === undefined) return;
    const request = this.#request(vcpu).describe();
    // Told afterwards: whoever hears it may put another client there at once.
    this.#expel(client);
    this.#options.observer.event({
      kind: 'client-late',
      vmId: this.vmId,
      client: client.name,
      vcpu,
      request,
      limitMs: this.#options.clientTimeoutMs,
    });
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
      this.#options.observer.event({
        kind: 'client-failed',
        vmId: this.vmId,
        client: client.name,
        ...errorText(error),
      });
    }
  }

  #finish(vcpu: number, ticket: number, low: number, high: number): boolean {
    const request = this.#request(vcpu);
    return this.#finisher.finish(vcpu, ticket, request.type, request.direction, low, high);
  }

  /** Completes `client`'s request in slot `vcpu` with the value that stands in the page. */
  #completeAsIs(client: IoClient, vcpu: number): number {
    const ticket = this.#tickets.load(vcpu);
    if (this.#owners[vcpu] !== client || ticket <= 0 || !this.#tickets.move(vcpu, ticket, 0)) return 0;
    const { type } = this.#request(vcpu);
    return this.#finisher.completeTaken(vcpu, type, Direction.WRITE, 0, 0);
  }

  /** Completes a PENDING slot without a client. */
  #complete(slot: Slot): void {
    const polling = slot.completionPolling;
    if (slot.completeUnassigned() && !polling) this.#notify(slot.vcpu);
  }

  #notify(vcpu: number): number {
    const result = this.#options.hypercalls.notifyRequestFinish(vcpu);
    if (result < 0) this.#options.observer.event({ kind: 'notify-failed', vmId: this.vmId, vcpu, result });
    return result;
  }

  #connect(client: IoClient): void {
    const shared = this.#options.hypercalls.shared;
    if (shared !== undefined)
      client.connect?.({ page: this.#buffer.page, tickets: this.#tickets.buffer, shared: shared.handle });
  }

  #busyClient(): IoClient | undefined {
    return this.#map.clients().find((client) => this.assignedSlots(client) !== 0);
  }

  #sleep(ms: number): Promise<void> {
    return this.#options.sleep?.(ms) ?? new Promise((resolve) => setTimeout(resolve, ms));
  }

  #request(vcpu: number): AssignedRequest {
    return this.#requests[vcpu] as AssignedRequest;
  }
}

/** One read of each word: what others write to the page afterwards changes nothing. */
function copyRequest(slot: Slot, request: AssignedRequest): void {
  request.type = slot.type;
  request.direction = slot.direction;
  request.addressLow = slot.addressLow;
  request.addressHigh = slot.addressHigh;
  request.size = slot.sizeLow;
  request.valueLow = slot.valueLow;
  request.valueHigh = slot.valueHigh;
  if (request.type === IoRequestType.PCI) {
    request.bus = slot.pciBus;
    request.device = slot.pciDevice;
    request.pciFunction = slot.pciFunction;
    request.register = slot.pciRegister;
  }
}
