/**
 * SlotRecorder: the observer of one slot that records the moves which one thread makes.
 *
 * Called by: Slot, at each move. While the ring is off, that is one load and compare for each move.
 * Callers must: not throw, and not allocate: this is the request path.
 * Threads: one for each slot in each thread that moves slots, see MoveRecorder.
 *
 * Work between a move and the next one of the same side delays the guest. Work right after PENDING
 * or COMPLETE delays no thread, because the other side is busy and this one would only wait. So
 * these two entries are written after their moves, with the request, the value and a reading of the
 * clock, which is the most expensive part. PROCESSING and FREE are on the request's way: they take
 * two or three words, and a time only in a part of the requests (timestamp-sampling.ts,
 * docs/decisions/0010, 0012).
 */

import { Direction, IoRequestType, SLOT_OFFSET } from '../io-request/layout.js';
import { packPciAddress } from '../io-request/pci-address.js';
import type { SlotObserver } from '../io-request/slot-observer.js';
import { IoRequestState } from '../io-request/state.js';
import { HypervisorLane, ServiceLane } from './lane.js';
import { TimestampSampling } from './timestamp-sampling.js';
import { MoveBits, type TraceRing } from './trace-ring.js';

// Constants of this file: V8 does not fold those of another module.
const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const { PCI } = IoRequestType;
const { TO_SHIFT, STATE_MASK, TYPE_SHIFT, SIZE_SHIFT, BYTE_MASK } = MoveBits;
const { IS_WRITE, REFUSED, HAS_REQUEST, HAS_VALUE, FORCED, IS_TIMED, HAS_LINK } = MoveBits;
const TO_PENDING = FREE | (PENDING << TO_SHIFT) | HAS_REQUEST | IS_TIMED;
const TO_PROCESSING = PENDING | (PROCESSING << TO_SHIFT);
const TO_COMPLETE = (COMPLETE << TO_SHIFT) | HAS_VALUE | IS_TIMED;
const TO_FREE = FREE << TO_SHIFT;
const READ = Direction.READ;
const SLOT_TYPE = SLOT_OFFSET.type >> 2;
const SLOT_DIRECTION = SLOT_OFFSET.direction >> 2;
const SLOT_SIZE = SLOT_OFFSET.size >> 2;
const SLOT_VALUE = SLOT_OFFSET.value >> 2;
const SLOT_BUS = SLOT_OFFSET.pciBus >> 2;
const SLOT_DEVICE = SLOT_OFFSET.pciDevice >> 2;
const SLOT_FUNCTION = SLOT_OFFSET.pciFunction >> 2;
const SLOT_REGISTER = SLOT_OFFSET.pciRegister >> 2;
/** In Node, the global name is a function call. */
const clock = performance;

/** State that all slots of one thread share. */
export interface RecordingThread {
  /**
   * True in the thread of a client, which finishes requests and assigns none. After COMPLETE the
   * dispatching thread may write to the lane, so such a thread writes the entry before the move,
   * and only its time after.
   */
  readonly isOfClient: boolean;
  /** Number of the client that the next move to PROCESSING is for. Set by the HSM only. */
  client: number;
  /** While set, requests are completed on behalf of their client. Set by the HSM only. */
  isForced: boolean;
}

export class SlotRecorder implements SlotObserver {
  /** The ring's words. The first one is not 0 while the ring is on. */
  readonly enabled: Int32Array<SharedArrayBuffer>;
  readonly #hypervisorLane: HypervisorLane;
  readonly #serviceLane: ServiceLane;
  readonly #thread: RecordingThread;
  readonly #offsetMs: number;
  readonly #hypervisor: TimestampSampling;
  readonly #service: TimestampSampling;
  /** The value of the on/off word that the samplings belong to. */
  #timeOn = 0;
  /** Number of the PENDING entry of the last request that was taken, counted or read. */
  #pending = 0;
  /** Number of the entry of its move to PROCESSING. */
  #assigned = -1;

  constructor(ring: TraceRing, vcpu: number, thread: RecordingThread, burstMs: number) {
    this.enabled = ring.words;
    this.#thread = thread;
    this.#offsetMs = ring.clockOffsetMs;
    this.#hypervisorLane = new HypervisorLane(ring, vcpu);
    this.#serviceLane = new ServiceLane(ring, vcpu);
    this.#hypervisor = new TimestampSampling(burstMs);
    this.#service = new TimestampSampling(burstMs);
  }

  /**
   * Number, in the Service VM's lane, of the entry by which this thread moved the slot's request to
   * PROCESSING. Undefined if that request does not have all times.
   */
  get timed(): number | undefined {
    return this.#service.isFull ? this.#assigned : undefined;
  }

  filling(): void {
    this.#hypervisorLane.begin();
  }

  filled(
    isMade: boolean,
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
    if (this.enabled[0] !== this.#timeOn) this.#begin();
    const lane = this.#hypervisorLane;
    const sampling = this.#hypervisor;
    sampling.choose(lane.last);
    sampling.observe(nowMs);
    const low = type === PCI ? pciAddress(page, base) : addressLow;
    const high = type === PCI ? (page[base + SLOT_REGISTER] as number) : addressHigh;
    const move = (isMade ? TO_PENDING : TO_PENDING | REFUSED) | requestBits(type, size, direction);
    lane.pending(move, low, high, valueLow, valueHigh, nowMs);
  }

  assigned(isMade: boolean, page: Int32Array, base: number): void {
    if (this.enabled[0] !== this.#timeOn) this.#begin();
    const lane = this.#serviceLane;
    const isTimed = isMade && this.#take();
    let move = isMade ? TO_PROCESSING : TO_PROCESSING | REFUSED;
    if (isTimed) move |= HAS_LINK | IS_TIMED;
    this.#assigned = isMade ? lane.next : -1;
    // Any other request is still that of the PENDING entry.
    if (page[base + SLOT_TYPE] === PCI) {
      move |= HAS_REQUEST;
      move |= requestBits(PCI, page[base + SLOT_SIZE] as number, page[base + SLOT_DIRECTION] as number);
      lane.pciRequest(pciAddress(page, base), page[base + SLOT_REGISTER] as number, page[base + SLOT_VALUE] as number);
    }
    lane.processing(move, this.#pending, this.#thread.client, isTimed ? clock.now() + this.#offsetMs : 0);
  }

  completing(from: number, valueLow: number, valueHigh: number): void {
    if (this.#thread.isOfClient) this.#serviceLane.completing(TO_COMPLETE | from, valueLow, valueHigh);
  }

  completed(isMade: boolean, from: number, valueLow: number, valueHigh: number): void {
    const nowMs = clock.now() + this.#offsetMs;
    const lane = this.#serviceLane;
    if (this.#thread.isOfClient) {
      lane.completed(isMade, nowMs);
      return;
    }
    if (this.enabled[0] !== this.#timeOn) this.#begin();
    let move = (isMade ? TO_COMPLETE : TO_COMPLETE | REFUSED) | from;
    if (from === PENDING) this.#take();
    if (from === PENDING || ((lane.next - 1) | 0) === this.#assigned) move |= HAS_LINK;
    if (this.#thread.isForced) move |= FORCED;
    lane.complete(move, this.#pending, valueLow, valueHigh, nowMs);
    this.#service.observe(nowMs);
  }

  released(isMade: boolean, from: number): void {
    let move = TO_FREE | (from >>> 0 > FREE ? STATE_MASK : from);
    if (!isMade) move |= REFUSED;
    const isTimed = this.#hypervisor.isFull;
    if (isTimed) move |= IS_TIMED;
    this.#hypervisorLane.free(move, isTimed ? clock.now() + this.#offsetMs : 0);
  }

  /** The ring was switched on: what the samplings know of bursts is from before it was off. */
  #begin(): void {
    this.#timeOn = this.enabled[0] as number;
    this.#hypervisor.reset();
    this.#service.reset();
  }

  /**
   * The Service VM takes a PENDING request. Returns whether it has all times. That follows from its
   * number, as in the vCPU's thread, so that both choose the same. The number is in a cache line of
   * the vCPU's and expensive to read. So it is counted, and read only where the times are taken as
   * well.
   */
  #take(): boolean {
    const counted = (this.#pending + 2) | 0;
    const isFull = this.#service.choose(counted);
    this.#pending = isFull ? this.#hypervisorLane.last : counted;
    return isFull;
  }
}

function pciAddress(page: Int32Array, base: number): number {
  return packPciAddress(
    page[base + SLOT_BUS] as number,
    page[base + SLOT_DEVICE] as number,
    page[base + SLOT_FUNCTION] as number,
  );
}

function requestBits(type: number, size: number, direction: number): number {
  return (toByte(type) << TYPE_SHIFT) | (toByte(size) << SIZE_SHIFT) | (direction === READ ? 0 : IS_WRITE);
}

/** Saturates to all ones. */
function toByte(word: number): number {
  return word >>> 0 > BYTE_MASK ? BYTE_MASK : word;
}
