/**
 * SlotRecorder: writes the moves of one slot that one thread makes into a TraceRing. MoveRecorder has one for each slot of
 * its thread's view of the page, as the slot's watcher. While the ring is off it costs a look at a word.
 *
 * What is written between a move and the next one of the same side delays the guest; what is written right after PENDING or
 * COMPLETE delays nobody, because the other side is at work and this one would only wait. So these two events, with the
 * request, the value and a reading of the clock, which costs more than everything else here together, are written after
 * their moves; before PENDING the lane's count says that its event is due. PROCESSING and FREE are on the request's way, and
 * are two or three words. In a burst (burst-pace.ts) most requests have no time for these two moves rather than a wrong one
 * (docs/decisions/0010, 0012).
 */

import { Direction, IoRequestType, SLOT_OFFSET } from '../io-request/layout.js';
import { packPciAddress } from '../io-request/pci-address.js';
import type { SlotObserver } from '../io-request/slot-observer.js';
import { IoRequestState } from '../io-request/state.js';
import { BurstPace } from './burst-pace.js';
import {
  EVENT_WORDS,
  eventIndex,
  EventWord,
  headIndex,
  hypervisorLane,
  LANE_EVENTS,
  MoveBits,
  serviceLane,
  type TraceRing,
} from './trace-ring.js';

// Constants of this file: those of another are looked up at each use.
const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const { PCI } = IoRequestType;
const { TO_SHIFT, STATE_MASK, TYPE_SHIFT, SIZE_SHIFT, BYTE_MASK } = MoveBits;
const { IS_WRITE, REFUSED, HAS_REQUEST, HAS_VALUE, FORCED, IS_TIMED, HAS_LINK } = MoveBits;
const TO_PENDING = FREE | (PENDING << TO_SHIFT) | HAS_REQUEST | IS_TIMED;
const TO_PROCESSING = PENDING | (PROCESSING << TO_SHIFT);
const TO_COMPLETE = (COMPLETE << TO_SHIFT) | HAS_VALUE | IS_TIMED;
const TO_FREE = FREE << TO_SHIFT;
/** No move has this word: nothing moves from PENDING to PENDING. */
const DUE = 0;
const READ = Direction.READ;
const LINK = EventWord.link;
const MOVE = EventWord.move;
const ADDRESS_LOW = EventWord.addressLow;
const ADDRESS_HIGH = EventWord.addressHigh;
const VALUE_LOW = EventWord.valueLow;
const VALUE_HIGH = EventWord.valueHigh;
const TIME = EventWord.time;
const CLIENT = EventWord.client;
const EVENT = EVENT_WORDS;
const NUMBER_MASK = LANE_EVENTS - 1;
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

/** What the slots of a thread have in common. */
export interface RecordingThread {
  /**
   * The thread of a client finishes requests, and the one that assigns may write to their lane as soon as they are COMPLETE:
   * then the event is written before the move, and only its time after.
   */
  readonly isOfClient: boolean;
  /** Number of the client that the next PROCESSING is for; only the HSM sets it. */
  client: number;
  /** While set, what is completed is completed in its client's place; only the HSM sets it. */
  isForced: boolean;
}

export class SlotRecorder implements SlotObserver {
  /** The ring's words: the first one says whether it is on. */
  readonly enabled: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  readonly #thread: RecordingThread;
  readonly #offsetMs: number;
  /** Where the lanes' counts and their first events are. */
  readonly #upperHead: number;
  readonly #upper: number;
  readonly #lowerHead: number;
  readonly #lower: number;
  readonly #hypervisor: BurstPace;
  readonly #service: BurstPace;
  /** Which of the ring's times on the paces are of. */
  #timeOn = 0;
  /** The PENDING event of the last request that was taken, or what it must be. */
  #pending = 0;
  /** The event by which it was moved to PROCESSING. */
  #assigned = -1;
  /** Where a client's thread has written the event of COMPLETE. */
  #completed = 0;

  constructor(ring: TraceRing, vcpu: number, thread: RecordingThread, burstMs: number) {
    this.enabled = ring.words;
    this.#times = ring.times;
    this.#thread = thread;
    this.#offsetMs = ring.clockOffsetMs;
    this.#upperHead = headIndex(hypervisorLane(vcpu));
    this.#upper = eventIndex(hypervisorLane(vcpu), 0);
    this.#lowerHead = headIndex(serviceLane(vcpu));
    this.#lower = eventIndex(serviceLane(vcpu), 0);
    this.#hypervisor = new BurstPace(burstMs);
    this.#service = new BurstPace(burstMs);
  }

  /**
   * Number, in the Service VM's lane, of the event by which this thread moved the slot's request to PROCESSING; undefined
   * when that request does not have all times.
   */
  get timed(): number | undefined {
    return this.#service.isExact ? this.#assigned : undefined;
  }

  filling(): void {
    const words = this.enabled;
    const number = words[this.#upperHead] as number;
    words[this.#upper + (number & NUMBER_MASK) * EVENT + MOVE] = DUE;
    words[this.#upperHead] = (number + 1) | 0;
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
    const words = this.enabled;
    if (words[0] !== this.#timeOn) this.#begin(words[0] as number);
    const number = ((words[this.#upperHead] as number) - 1) | 0;
    const at = this.#upper + (number & NUMBER_MASK) * EVENT;
    const pace = this.#hypervisor;
    pace.choose(number);
    pace.at(nowMs);
    words[at + ADDRESS_LOW] = type === PCI ? pciAddress(page, base) : addressLow;
    words[at + ADDRESS_HIGH] = type === PCI ? (page[base + SLOT_REGISTER] as number) : addressHigh;
    words[at + VALUE_LOW] = valueLow;
    words[at + VALUE_HIGH] = valueHigh;
    this.#times[(at + TIME) >> 1] = nowMs;
    // Last: an event that is due is there when its move word is.
    words[at + MOVE] = (isMade ? TO_PENDING : TO_PENDING | REFUSED) | requestBits(type, size, direction);
  }

  assigned(isMade: boolean, page: Int32Array, base: number): void {
    const words = this.enabled;
    if (words[0] !== this.#timeOn) this.#begin(words[0] as number);
    const number = words[this.#lowerHead] as number;
    const at = this.#lower + (number & NUMBER_MASK) * EVENT;
    let move = isMade ? TO_PROCESSING : TO_PROCESSING | REFUSED;
    if (isMade && this.#take()) move |= this.#putLink(at) | this.#stamp(at);
    this.#assigned = isMade ? number : -1;
    words[at + CLIENT] = this.#thread.client;
    // Otherwise the request is still the one of PENDING.
    if (page[base + SLOT_TYPE] === PCI) move |= this.#putPci(page, base, at);
    words[at + MOVE] = move;
    words[this.#lowerHead] = (number + 1) | 0;
  }

  completing(from: number, valueLow: number, valueHigh: number): void {
    if (this.#thread.isOfClient) this.#completed = this.#putCompleted(TO_COMPLETE | from, valueLow, valueHigh, 0);
  }

  completed(isMade: boolean, from: number, valueLow: number, valueHigh: number): void {
    if (this.#thread.isOfClient) {
      const at = this.#completed;
      if (!isMade) this.enabled[at + MOVE] = (this.enabled[at + MOVE] as number) | REFUSED;
      this.#stamp(at);
      return;
    }
    const nowMs = clock.now() + this.#offsetMs;
    const move = isMade ? TO_COMPLETE : TO_COMPLETE | REFUSED;
    this.#putCompleted(move | from, valueLow, valueHigh, nowMs);
    this.#service.at(nowMs);
  }

  released(isMade: boolean, from: number): void {
    const words = this.enabled;
    const number = words[this.#upperHead] as number;
    const at = this.#upper + (number & NUMBER_MASK) * EVENT;
    let move = TO_FREE | (from >>> 0 > FREE ? STATE_MASK : from);
    if (!isMade) move |= REFUSED;
    if (this.#hypervisor.isExact) move |= this.#stamp(at);
    words[at + MOVE] = move;
    words[this.#upperHead] = (number + 1) | 0;
  }

  /** Writes the event of a move to COMPLETE; returns where it is. */
  #putCompleted(toComplete: number, valueLow: number, valueHigh: number, nowMs: number): number {
    const words = this.enabled;
    if (words[0] !== this.#timeOn) this.#begin(words[0] as number);
    const number = words[this.#lowerHead] as number;
    const at = this.#lower + (number & NUMBER_MASK) * EVENT;
    let move = toComplete;
    if ((move & STATE_MASK) === PENDING) this.#take();
    if ((move & STATE_MASK) === PENDING || ((number - 1) | 0) === this.#assigned) move |= this.#putLink(at);
    if (this.#thread.isForced) move |= FORCED;
    words[at + VALUE_LOW] = valueLow;
    words[at + VALUE_HIGH] = valueHigh;
    this.#times[(at + TIME) >> 1] = nowMs;
    words[at + MOVE] = move;
    words[this.#lowerHead] = (number + 1) | 0;
    return at;
  }

  /** Gives the event at `at` the time; returns its part of the move word. */
  #stamp(at: number): number {
    this.#times[(at + TIME) >> 1] = clock.now() + this.#offsetMs;
    return IS_TIMED;
  }

  /** What this recorder knows of bursts is of the time before the ring was off. */
  #begin(timeOn: number): void {
    this.#timeOn = timeOn;
    this.#hypervisor.reset();
    this.#service.reset();
  }

  /**
   * The Service VM takes a PENDING request; says whether it has all times. That follows from its number, as in the vCPU's
   * thread, so that both choose the same ones. The number is in a line of the vCPU's and expensive to read: it is counted,
   * and read where the times are taken as well.
   */
  #take(): boolean {
    const counted = (this.#pending + 2) | 0;
    const isExact = this.#service.choose(counted);
    this.#pending = isExact ? ((this.enabled[this.#upperHead] as number) - 1) | 0 : counted;
    return isExact;
  }

  /** Tells which PENDING event the request has; returns that part of the move word. */
  #putLink(at: number): number {
    this.enabled[at + LINK] = this.#pending;
    return HAS_LINK;
  }

  /** A PCI request; returns its part of the move word. */
  #putPci(page: Int32Array, base: number, at: number): number {
    const words = this.enabled;
    words[at + ADDRESS_LOW] = pciAddress(page, base);
    words[at + ADDRESS_HIGH] = page[base + SLOT_REGISTER] as number;
    words[at + VALUE_LOW] = page[base + SLOT_VALUE] as number;
    return HAS_REQUEST | requestBits(PCI, page[base + SLOT_SIZE] as number, page[base + SLOT_DIRECTION] as number);
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

function toByte(word: number): number {
  return word >>> 0 > BYTE_MASK ? BYTE_MASK : word;
}
