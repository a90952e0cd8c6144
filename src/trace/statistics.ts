/**
 * RequestStatistics: what a VM's requests were and how long each stage of them took. ServiceVm tells it of each request
 * that the HSM has given to somebody; the times are in the trace's ring, and are taken from there when the slot's next
 * request comes, or when somebody asks. In a burst a part of the requests has them (MoveRecorder). Counting allocates nothing but the row of a range, client or address that is new.
 */

import { IoRequestState } from '../io-request/state.js';
import { HSM_NAME } from '../io-request/io-request.js';
import { IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import { packPciAddress } from '../io-request/pci-address.js';
import { AddressCounts } from './address-counts.js';
import type { MoveRecorder } from './move-recorder.js';
import { RequestRows, type CountedRange, type RequestRow } from './request-rows.js';
import type { ErrorRow, StatisticsSnapshot } from './statistics-snapshot.js';
import {
  eventIndex,
  EventWord,
  hypervisorLane,
  LANE_EVENTS,
  MoveBits,
  movedTo,
  serviceLane,
  type TraceRing,
} from './trace-ring.js';

/** Clients and devices whose errors are counted one by one. */
const MAX_ERROR_ROWS = 256;
const OTHERS = 'others';
const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;

/** What the statistics need of a request; the HSM's AssignedRequest has it. */
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
  /** Of the Service VM's thread. */
  readonly recorder: MoveRecorder;
  readonly rangesOf: (client: Client) => readonly CountedRange[];
  /** Whether `client` has what nobody claims. */
  readonly isDefault: (client: Client) => boolean;
}

/** The request that a slot's last dispatch was for, until its times are known. */
interface OpenRequest {
  row: RequestRow | undefined;
  address: number;
  /** Number of its PENDING event in the hypervisor's lane, and of the next one in the Service VM's. */
  pending: number;
  taken: number;
  wasAssigned: boolean;
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
  /** For the ranges of the client at hand, without a closure for each request. */
  #client: Client | undefined;
  readonly #rangesOfClient = (): readonly CountedRange[] =>
    this.#client === undefined ? [] : this.#source.rangesOf(this.#client);
  #requests = 0;

  constructor(source: StatisticsSource<Client>) {
    this.#source = source;
  }

  /** A request was given to `client`, and perhaps finished already; undefined: the HSM is about to answer it itself. */
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
    open.row = this.#finds(open, vcpu, client !== undefined) ? row : undefined;
    open.address = this.#addresses.count(type, low, isPci ? 0 : addressHigh, isRead);
    if (client !== undefined && !isPci && isDefault(client)) this.#unclaimed.count(type, low, addressHigh, isRead);
  }

  /** A client or device erred, or was late. */
  countError(name: string, isLate: boolean): void {
    const key = this.#errors.has(name) || this.#errors.size < MAX_ERROR_ROWS ? name : OTHERS;
    const row = this.#errors.get(key) ?? { errors: 0, late: 0 };
    if (isLate) row.late++;
    else row.errors++;
    this.#errors.set(key, row);
  }

  /** `guestErrors` is the vCPUs' count. */
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

  /** Finds the events of the request that slot `vcpu` has now; false when it is one without all times. */
  #finds(open: OpenRequest, vcpu: number, wasAssigned: boolean): boolean {
    const { recorder, ring } = this.#source;
    open.wasAssigned = wasAssigned;
    if (!wasAssigned) {
      open.pending = (ring.head(hypervisorLane(vcpu)) - 1) | 0;
      open.taken = ring.head(serviceLane(vcpu));
      return true;
    }
    const taken = recorder.timed(vcpu);
    if (taken === undefined) return false;
    open.taken = taken;
    open.pending = ring.words[eventIndex(serviceLane(vcpu), taken) + EventWord.link] as number;
    return true;
  }

  /** Books the times of the slot's last request, if it was finished and has them. */
  #settle(vcpu: number): void {
    const open = this.#open[vcpu] as OpenRequest;
    const { row, pending, taken, wasAssigned } = open;
    if (row === undefined) return;
    const [above, below] = [hypervisorLane(vcpu), serviceLane(vcpu)];
    const filled = this.#stamp(above, pending, PENDING);
    const assigned = wasAssigned ? this.#stamp(below, taken, PROCESSING) : filled;
    const completed = this.#stamp(below, taken + (wasAssigned ? 1 : 0), COMPLETE);
    const released = this.#stamp(above, pending + 1, FREE);
    // Not finished yet; or withdrawn, and then it never will.
    if (released <= 0 || completed < 0 || assigned <= 0 || filled < 0) return;
    open.row = undefined;
    // A stamp is made after its move: one that is missing or late is known to be before the next.
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

  /** Time of a move; 0: it has none, or not yet; below 0: that event is not there, or is another one. */
  #stamp(lane: number, number: number, to: number): number {
    const { ring } = this.#source;
    const age = (ring.head(lane) - number) | 0;
    const move = ring.words[eventIndex(lane, number) + EventWord.move] as number;
    if (age <= 0 || age >= LANE_EVENTS || movedTo(move) !== to || (move & MoveBits.REFUSED) !== 0) return -1;
    return ring.time(lane, number);
  }
}

function toNs(ms: number): number {
  return Math.round(ms * 1e6);
}
