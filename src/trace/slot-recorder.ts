/**
 * SlotRecorder: the observer of one slot that records the moves (changes of the slot's state) that
 * one thread makes. It writes an entry for each into the slot's lanes of the TraceRing, one for the
 * moves of the hypervisor and one for those of the Service VM.
 *
 * Called by: Slot, before and after each move. While the ring is off, Slot does not call it.
 * It must not throw and must not allocate: this is the request path.
 * Threads: one for each slot in each thread that moves slots, see MoveRecorder.
 *
 * Work between a move and the next one of the same side delays the guest. Work right after PENDING
 * or COMPLETE delays no thread, because the other side is busy and this one would only wait. So
 * these two entries are written after their moves, with the request, the value and a reading of the
 * clock, which is the most expensive part. The entries of PROCESSING and FREE delay the guest: they
 * take two or three words, and a time only for some requests (timestamp-sampling.ts,
 * docs/decisions/0010, 0012).
 */

import { Direction, IoRequestType, SLOT_OFFSET } from '../io-request/layout.js';
import { packPciAddress } from '../io-request/pci-address.js';
import type { SlotObserver } from '../io-request/slot-observer.js';
import { IoRequestState } from '../io-request/state.js';
import { HypervisorLane, ServiceLane } from './lane.js';
import { TimestampSampling } from './timestamp-sampling.js';
import { MoveBits, type TraceRing } from './trace-ring.js';

// Copied to this file: V8 does not fold constants of another module.
const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const { PCI } = IoRequestType;
const { TO_SHIFT, STATE_MASK, TYPE_SHIFT, SIZE_SHIFT, BYTE_MASK } = MoveBits;
const { IS_WRITE, REFUSED, HAS_REQUEST, HAS_VALUE, FORCED, IS_TIMED, HAS_LINK } = MoveBits;
// The move word (trace-ring.ts) of each move. The recorder adds flags, and the state that COMPLETE
// and FREE come from.
const TO_PENDING = FREE | (PENDING << TO_SHIFT) | HAS_REQUEST | IS_TIMED;
const TO_PROCESSING = PENDING | (PROCESSING << TO_SHIFT);
const TO_COMPLETE = (COMPLETE << TO_SHIFT) | HAS_VALUE | IS_TIMED;
const TO_FREE = FREE << TO_SHIFT;
const READ = Direction.READ;
// Indices of a slot's int32 fields, counted from its first word.
const SLOT_TYPE = SLOT_OFFSET.type >> 2;
const SLOT_DIRECTION = SLOT_OFFSET.direction >> 2;
const SLOT_SIZE = SLOT_OFFSET.size >> 2;
const SLOT_VALUE = SLOT_OFFSET.value >> 2;
const SLOT_BUS = SLOT_OFFSET.pciBus >> 2;
const SLOT_DEVICE = SLOT_OFFSET.pciDevice >> 2;
const SLOT_FUNCTION = SLOT_OFFSET.pciFunction >> 2;
const SLOT_REGISTER = SLOT_OFFSET.pciRegister >> 2;
/** In Node each use of the global name calls a getter. */
const clock = performance;

/** What the recorders of all slots in one thread share. MoveRecorder implements it. */
export interface RecordingThread {
  /**
   * True in the thread of a client, which finishes requests and assigns none. After COMPLETE the
   * dispatching thread may write to the lane, so such a thread writes the entry before the move,
   * and only its time after.
   */
  readonly isOfClient: boolean;
  /**
   * The number, from VmTrace, of the client that gets the next request. VmTrace sets it before each
   * move to PROCESSING.
   */
  client: number;
  /**
   * Whether the HSM is finishing requests in place of their clients. Set in the Service VM's thread
   * only.
   */
  isForced: boolean;
}

export class SlotRecorder implements SlotObserver {
  /** The ring's words. The first one is not 0 while the ring is on. */
  readonly enabled: Int32Array<SharedArrayBuffer>;
  readonly #hypervisorLane: HypervisorLane;
  readonly #serviceLane: ServiceLane;
  readonly #thread: RecordingThread;
  /** What to add to this thread's clock to get the ring's time. */
  readonly #offsetMs: number;
  readonly #hypervisorSampling: TimestampSampling;
  readonly #serviceSampling: TimestampSampling;
  /** The value of the ring's on/off word when the samplings were reset. It differs each time on. */
  #sampledOn = 0;
  /**
   * Number of the PENDING entry of the last request that `#takePending` took. It may be too low
   * unless all moves of the request have a time, see `#takePending`.
   */
  #pendingEntry = 0;
  /**
   * Number of the entry of that request's move to PROCESSING, in the Service VM's lane. Undefined:
   * there is no such entry.
   */
  #processingEntry: number | undefined;

  constructor(ring: TraceRing, vcpu: number, thread: RecordingThread, burstMs: number) {
    this.enabled = ring.words;
    this.#thread = thread;
    this.#offsetMs = ring.clockOffsetMs;
    this.#hypervisorLane = new HypervisorLane(ring, vcpu);
    this.#serviceLane = new ServiceLane(ring, vcpu);
    this.#hypervisorSampling = new TimestampSampling(burstMs);
    this.#serviceSampling = new TimestampSampling(burstMs);
  }

  /**
   * Number, in the Service VM's lane, of the entry by which this thread moved the slot's request to
   * PROCESSING. Undefined if that request does not have all times.
   */
  get timedProcessing(): number | undefined {
    return this.#serviceSampling.isFull ? this.#processingEntry : undefined;
  }

  filling(): void {
    this.#hypervisorLane.begin();
  }

  filled(
    hasMoved: boolean,
    type: number,
    direction: number,
    addressLow: number,
    addressHigh: number,
    size: number,
    valueLow: number,
    valueHigh: number,
    page: Int32Array,
    base: number,
  ): void {
    const nowMs = clock.now() + this.#offsetMs;
    if (this.enabled[0] !== this.#sampledOn) this.#resetSampling();
    const lane = this.#hypervisorLane;
    const sampling = this.#hypervisorSampling;
    // Choose before `observe`: whether there is a burst follows from the requests before.
    sampling.choose(lane.lastBegun);
    sampling.observe(nowMs);
    const low = type === PCI ? pciAddress(page, base) : addressLow;
    const high = type === PCI ? (page[base + SLOT_REGISTER] as number) : addressHigh;
    const move = (hasMoved ? TO_PENDING : TO_PENDING | REFUSED) | requestBits(type, size, direction);
    lane.pending(move, low, high, valueLow, valueHigh, nowMs);
  }

  assigned(hasMoved: boolean, page: Int32Array, base: number): void {
    if (this.enabled[0] !== this.#sampledOn) this.#resetSampling();
    const lane = this.#serviceLane;
    const isTimed = hasMoved && this.#takePending();
    let move = hasMoved ? TO_PROCESSING : TO_PROCESSING | REFUSED;
    if (isTimed) move |= HAS_LINK | IS_TIMED;
    this.#processingEntry = hasMoved ? lane.next : undefined;
    // The HSM may have changed a PCI request since PENDING (hsm/pci-config-access.ts). Any other
    // request is as it is in the PENDING entry.
    if (page[base + SLOT_TYPE] === PCI) {
      move |= HAS_REQUEST;
      move |= requestBits(PCI, page[base + SLOT_SIZE] as number, page[base + SLOT_DIRECTION] as number);
      lane.pciRequest(pciAddress(page, base), page[base + SLOT_REGISTER] as number, page[base + SLOT_VALUE] as number);
    }
    lane.processing(move, this.#pendingEntry, this.#thread.client, isTimed ? clock.now() + this.#offsetMs : 0);
  }

  completing(from: number, valueLow: number, valueHigh: number): void {
    if (this.#thread.isOfClient) this.#serviceLane.completing(TO_COMPLETE | from, valueLow, valueHigh);
  }

  completed(hasMoved: boolean, from: number, valueLow: number, valueHigh: number): void {
    const nowMs = clock.now() + this.#offsetMs;
    const lane = this.#serviceLane;
    if (this.#thread.isOfClient) {
      lane.completed(hasMoved, nowMs);
      return;
    }
    if (this.enabled[0] !== this.#sampledOn) this.#resetSampling();
    let move = (hasMoved ? TO_COMPLETE : TO_COMPLETE | REFUSED) | from;
    // The HSM answers without a client: there is no move to PROCESSING, which would take it.
    if (from === PENDING) this.#takePending();
    // Or the lane's last entry is this thread's PROCESSING: `#pendingEntry` is of the same request.
    if (from === PENDING || ((lane.next - 1) | 0) === this.#processingEntry) move |= HAS_LINK;
    if (this.#thread.isForced) move |= FORCED;
    lane.complete(move, this.#pendingEntry, valueLow, valueHigh, nowMs);
    this.#serviceSampling.observe(nowMs);
  }

  released(hasMoved: boolean, from: number): void {
    // FREE is the greatest state. Any other number in the page saturates.
    let move = TO_FREE | (from >>> 0 > FREE ? STATE_MASK : from);
    if (!hasMoved) move |= REFUSED;
    const isTimed = this.#hypervisorSampling.isFull;
    if (isTimed) move |= IS_TIMED;
    this.#hypervisorLane.free(move, isTimed ? clock.now() + this.#offsetMs : 0);
  }

  /** Called when the ring was switched on: what the samplings know of bursts is out of date. */
  #resetSampling(): void {
    this.#sampledOn = this.enabled[0] as number;
    this.#hypervisorSampling.reset();
    this.#serviceSampling.reset();
  }

  /**
   * Called for each PENDING request that the Service VM takes. Returns whether all its moves get a
   * time. That follows from the number of its PENDING entry, as it does in the vCPU's thread, so
   * that both sides choose the same requests. The number is in a cache line that the vCPU writes,
   * which is expensive to load. So it is normally counted here, by two entries for each request,
   * and loaded only for requests that get all times. A request that was withdrawn before the
   * Service VM took it is not counted: until the next load the count is too low.
   */
  #takePending(): boolean {
    const counted = (this.#pendingEntry + 2) | 0;
    const isFull = this.#serviceSampling.choose(counted);
    this.#pendingEntry = isFull ? this.#hypervisorLane.lastBegun : counted;
    return isFull;
  }
}

/** Bus, device and function of the slot that begins at word `base` of `page`. */
function pciAddress(page: Int32Array, base: number): number {
  return packPciAddress(
    page[base + SLOT_BUS] as number,
    page[base + SLOT_DEVICE] as number,
    page[base + SLOT_FUNCTION] as number,
  );
}

/** The fields of a move word that describe the request. */
function requestBits(type: number, size: number, direction: number): number {
  return (toByte(type) << TYPE_SHIFT) | (toByte(size) << SIZE_SHIFT) | (direction === READ ? 0 : IS_WRITE);
}

/** `word` as a byte. A greater value, or a negative one, becomes all ones. */
function toByte(word: number): number {
  return word >>> 0 > BYTE_MASK ? BYTE_MASK : word;
}
