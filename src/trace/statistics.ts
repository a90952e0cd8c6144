/**
 * RequestStatistics: counts a VM's requests and measures their stages, each the time from one move
 * (change of the slot's state) to the next (statistics-snapshot.ts).
 *
 * Called by: ServiceVm, for each request that the HSM gave to a client or is about to answer;
 * UserVm, for a snapshot.
 * Callers must: run in the dispatching thread.
 *
 * The times are those of the trace, so it must be on. They are read from the TraceRing when the
 * slot's next request comes, or for a snapshot. In a burst only some requests have times
 * (TimestampSampling). Counting allocates only for a new range or client.
 */

import { IoRequestState } from '../io-request/state.js';
import { HSM_NAME } from '../io-request/io-request.js';
import { IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import { packPciAddress } from '../io-request/pci-address.js';
import { AddressCounts } from './address-counts.js';
import type { MoveRecorder } from './move-recorder.js';
import { RequestRows, type CountedRange, type RequestRow } from './request-rows.js';
import type { ErrorRow, StatisticsSnapshot } from './statistics-snapshot.js';
import { LaneView } from './lane.js';
import { hypervisorLane, MoveBits, movedTo, serviceLane, type TraceRing } from './trace-ring.js';

/** How many clients and devices have an error row of their own. The others share one. */
const MAX_ERROR_ROWS = 256;
const OTHERS = 'others';
const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
/** What timeOf returns if the entry is not there. */
const NO_ENTRY = -1;

/** The fields of a request that the statistics need. The HSM's AssignedRequest has them. */
export interface CountedRequest {
  readonly vcpu: number;
  readonly type: number;
  readonly isRead: boolean;
  readonly addressLow: number;
  readonly addressHigh: number;
  readonly size: number;
  readonly bus: number;
  readonly device: number;
  readonly pciFunction: number;
}

export interface CountedClient {
  readonly name: string;
}

/** Where the statistics get the times and the ranges from. */
export interface StatisticsSource<Client extends CountedClient> {
  readonly ring: TraceRing;
  /** The recorder of the Service VM's thread. */
  readonly recorder: MoveRecorder;
  readonly rangesOf: (client: Client) => readonly CountedRange[];
  /**
   * Whether `client` is the default client, which gets the accesses that no other client claims.
   */
  readonly isDefault: (client: Client) => boolean;
}

/** The request of a slot's last dispatch, until its times are recorded. */
interface OpenRequest {
  /** Undefined if its times are recorded already, or if it has none. */
  row: RequestRow | undefined;
  /** The row of its address in `#addresses`. */
  address: number;
  /** Number of its PENDING entry in the hypervisor's lane. */
  pendingEntry: number;
  /** Number of its first entry in the Service VM's lane: PROCESSING if it was assigned. */
  serviceEntry: number;
  /** False if the HSM answered it itself, so that it never was PROCESSING. */
  wasAssigned: boolean;
}

/** The lanes of one slot. */
interface SlotLanes {
  readonly hypervisor: LaneView;
  readonly service: LaneView;
}

export class RequestStatistics<Client extends CountedClient = CountedClient> {
  readonly #source: StatisticsSource<Client>;
  readonly #rows = new RequestRows();
  /** All accesses by address, and those that no client claims. */
  readonly #addresses = new AddressCounts();
  readonly #unclaimed = new AddressCounts();
  readonly #errors = new Map<string, { errors: number; late: number }>();
  readonly #open: readonly OpenRequest[] = Array.from({ length: SLOT_COUNT }, () => ({
    row: undefined,
    address: 0,
    pendingEntry: 0,
    serviceEntry: 0,
    wasAssigned: false,
  }));
  readonly #lanes: readonly SlotLanes[];
  /**
   * The client of the current request. `#rangesOfClient` uses it, so that no request needs a
   * closure.
   */
  #client: Client | undefined;
  readonly #rangesOfClient = (): readonly CountedRange[] =>
    this.#client === undefined ? [] : this.#source.rangesOf(this.#client);
  #requests = 0;

  constructor(source: StatisticsSource<Client>) {
    this.#source = source;
    this.#lanes = Array.from({ length: SLOT_COUNT }, (_, vcpu) => ({
      hypervisor: new LaneView(source.ring, hypervisorLane(vcpu)),
      service: new LaneView(source.ring, serviceLane(vcpu)),
    }));
  }

  /**
   * Counts a request that was given to `client`, and may be finished already. `client` is undefined
   * if the HSM is about to answer the request itself.
   */
  dispatched(request: CountedRequest, client: Client | undefined): void {
    const { vcpu, type, addressHigh, isRead } = request;
    const { isDefault } = this.#source;
    this.#settle(vcpu);
    this.#requests++;
    const isPci = type === IoRequestType.PCI;
    const low = isPci ? packPciAddress(request.bus, request.device, request.pciFunction) : request.addressLow;
    this.#client = client;
    const row = this.#rows.find(client?.name ?? HSM_NAME, type, low, addressHigh, this.#rangesOfClient);
    row.count(request.size, isRead);
    const open = this.#open[vcpu] as OpenRequest;
    open.row = this.#locate(open, vcpu, client !== undefined) ? row : undefined;
    open.address = this.#addresses.count(type, low, isPci ? 0 : addressHigh, isRead);
    if (client !== undefined && !isPci && isDefault(client)) this.#unclaimed.count(type, low, addressHigh, isRead);
  }

  /** Counts an error of a client or device. */
  countError(name: string): void {
    this.#errorRow(name).errors++;
  }

  /** Counts a request that a client did not answer in time. */
  countLate(name: string): void {
    this.#errorRow(name).late++;
  }

  /** The counts until now, as plain data. `guestErrors` is the vCPUs' count. */
  snapshot(guestErrors = 0): StatisticsSnapshot {
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) this.#settle(vcpu);
    const busiest = (
      a: { name: string; reads: number; writes: number },
      b: { name: string; reads: number; writes: number },
    ): number => b.reads + b.writes - a.reads - a.writes || (a.name < b.name ? -1 : 1);
    return {
      requests: this.#requests,
      guestErrors,
      ...this.#rows.snapshot(),
      addresses: this.#addresses.snapshot().sort(busiest),
      unclaimed: this.#unclaimed.snapshot().sort(busiest),
      clientErrors: [...this.#errors]
        .map(([name, row]): ErrorRow => ({ name, ...row }))
        .sort((a, b) => b.errors + b.late - a.errors - a.late || (a.name < b.name ? -1 : 1)),
    };
  }

  #errorRow(name: string): { errors: number; late: number } {
    const key = this.#errors.has(name) || this.#errors.size < MAX_ERROR_ROWS ? name : OTHERS;
    const row = this.#errors.get(key) ?? { errors: 0, late: 0 };
    this.#errors.set(key, row);
    return row;
  }

  /**
   * Stores the numbers of the entries of the request that slot `vcpu` has now. Returns false if the
   * request does not have all times.
   */
  #locate(open: OpenRequest, vcpu: number, wasAssigned: boolean): boolean {
    const { hypervisor, service } = this.#lanes[vcpu] as SlotLanes;
    open.wasAssigned = wasAssigned;
    if (!wasAssigned) {
      // The HSM is about to answer: the slot is PENDING, and its COMPLETE entry comes next.
      open.pendingEntry = (hypervisor.begun - 1) | 0;
      open.serviceEntry = service.published;
      return true;
    }
    const processing = this.#source.recorder.timedProcessing(vcpu);
    if (processing === undefined || !service.has(processing)) return false;
    open.serviceEntry = processing;
    open.pendingEntry = service.link(processing);
    return true;
  }

  /** Records the times of the slot's last request, if it is finished and has them. */
  #settle(vcpu: number): void {
    const open = this.#open[vcpu] as OpenRequest;
    const { row, pendingEntry, serviceEntry, wasAssigned } = open;
    if (row === undefined) return;
    const { hypervisor, service } = this.#lanes[vcpu] as SlotLanes;
    const filled = timeOf(hypervisor, pendingEntry, PENDING);
    const assigned = wasAssigned ? timeOf(service, serviceEntry, PROCESSING) : filled;
    const completed = timeOf(service, serviceEntry + (wasAssigned ? 1 : 0), COMPLETE);
    const released = timeOf(hypervisor, pendingEntry + 1, FREE);
    // The request is not finished yet, or it was withdrawn and never will be.
    if (released <= 0 || completed === NO_ENTRY || assigned <= 0 || filled === NO_ENTRY) return;
    open.row = undefined;
    // The clock is read after the move. A time that is missing or too late is replaced by that of
    // the next move.
    const start = filled === 0 || filled > assigned ? assigned : filled;
    const done = completed === 0 || completed > released ? released : completed;
    if (wasAssigned) {
      row.wait.record(toNs(assigned - start));
      row.work.record(toNs(done - assigned));
    }
    row.wake.record(toNs(released - done));
    row.total.record(toNs(released - start));
    this.#addresses.time(open.address, toNs(released - start));
  }
}

/**
 * The time in ms of the move to state `to` in entry `number`. 0: it has no time, or its time is not
 * written yet. NO_ENTRY: it cannot be read or is that of another move.
 */
function timeOf(lane: LaneView, number: number, to: number): number {
  const move = lane.move(number);
  if (move === 0 || movedTo(move) !== to || (move & MoveBits.REFUSED) !== 0) return NO_ENTRY;
  return lane.timeMs(number);
}

function toNs(ms: number): number {
  return Math.round(ms * 1e6);
}
