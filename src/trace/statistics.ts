/**
 * RequestStatistics: counts a VM's requests, and how long each stage of them took.
 *
 * Called by: ServiceVm, for each request that the HSM gave to a client; UserVm, for a snapshot.
 * Callers must: run in the dispatching thread.
 *
 * The times are in the trace's ring. They are read from there when the slot's next request comes,
 * or for a snapshot. In a burst only a part of the requests has them (TimestampSampling). Counting
 * allocates only the row of a new range, client or address.
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

/** Clients and devices with an error row of their own. The others share one. */
const MAX_ERROR_ROWS = 256;
const OTHERS = 'others';
const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;

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
  /** Undefined if there is nothing to record. */
  row: RequestRow | undefined;
  address: number;
  /**
   * Number of its PENDING entry in the hypervisor's lane, and of its first entry in the Service
   * VM's.
   */
  pending: number;
  taken: number;
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
  readonly #addresses = new AddressCounts();
  readonly #unclaimed = new AddressCounts();
  readonly #errors = new Map<string, { errors: number; late: number }>();
  readonly #open: readonly OpenRequest[] = Array.from({ length: SLOT_COUNT }, () => ({
    row: undefined,
    address: 0,
    pending: 0,
    taken: 0,
    wasAssigned: false,
  }));
  readonly #lanes: readonly SlotLanes[];
  /** The current client: its ranges are looked up without a closure for each request. */
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

  /** Counts an error of a client or device, or a request that it did not answer in time. */
  countError(name: string, isLate: boolean): void {
    const key = this.#errors.has(name) || this.#errors.size < MAX_ERROR_ROWS ? name : OTHERS;
    const row = this.#errors.get(key) ?? { errors: 0, late: 0 };
    if (isLate) row.late++;
    else row.errors++;
    this.#errors.set(key, row);
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

  /**
   * Finds the entries of the request that slot `vcpu` has now. Returns false if it does not have
   * all times.
   */
  #locate(open: OpenRequest, vcpu: number, wasAssigned: boolean): boolean {
    const { hypervisor, service } = this.#lanes[vcpu] as SlotLanes;
    open.wasAssigned = wasAssigned;
    if (!wasAssigned) {
      open.pending = (hypervisor.begun - 1) | 0;
      open.taken = service.published;
      return true;
    }
    const taken = this.#source.recorder.timed(vcpu);
    if (taken === undefined || !service.has(taken)) return false;
    open.taken = taken;
    open.pending = service.link(taken);
    return true;
  }

  /** Records the times of the slot's last request, if it is finished and has them. */
  #settle(vcpu: number): void {
    const open = this.#open[vcpu] as OpenRequest;
    const { row, pending, taken, wasAssigned } = open;
    if (row === undefined) return;
    const { hypervisor, service } = this.#lanes[vcpu] as SlotLanes;
    const filled = timeOf(hypervisor, pending, PENDING);
    const assigned = wasAssigned ? timeOf(service, taken, PROCESSING) : filled;
    const completed = timeOf(service, taken + (wasAssigned ? 1 : 0), COMPLETE);
    const released = timeOf(hypervisor, pending + 1, FREE);
    // Not finished yet, or withdrawn: then it never will be.
    if (released <= 0 || completed < 0 || assigned <= 0 || filled < 0) return;
    open.row = undefined;
    // A time is taken after its move. One that is missing or late is bounded by that of the next
    // move.
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
 * Time of a move in ms. 0: it has none, or not yet. -1: the entry cannot be read, or is that of
 * another move.
 */
function timeOf(lane: LaneView, number: number, to: number): number {
  const move = lane.move(number);
  if (move === 0 || movedTo(move) !== to || (move & MoveBits.REFUSED) !== 0) return -1;
  return lane.timeMs(number);
}

function toNs(ms: number): number {
  return Math.round(ms * 1e6);
}
