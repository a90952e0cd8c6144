/**
 * MoveRecorder: writes the moves that one thread makes into a TraceRing. Each view of the page that makes moves has one
 * as its slots' watcher: a vCPU's thread, the Service VM's thread, a device's thread. While the ring is off it costs a
 * look at a word.
 *
 * A clock reading costs more than everything else here together. After PENDING and COMPLETE it delays nobody: the other
 * side is at work already, and this one would only wait. So these two are always stamped, after the move; the event itself
 * was complete before it. A stamp of PROCESSING or FREE is on the request's way. A slot's request that comes later than
 * BURST_MS after the one before has all four; of requests that follow each other more closely, one in TIMED_EVERY has, and
 * the others have no time for these two moves rather than a wrong one (docs/decisions/0010).
 */

import { Direction, IoRequestType, SLOT_COUNT, SLOT_OFFSET } from '../io-request/layout.js';
import type { MoveWatcher, Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import {
  APART_WORDS,
  EVENT_WORDS,
  EventWord,
  FIRST_EVENT,
  FIRST_HEAD,
  LANE_EVENTS,
  MoveBits,
  type TraceRing,
} from './trace-ring.js';

/** Requests of a slot that are closer to each other are a burst. */
export const BURST_MS = 0.005;
/** Of a burst, the requests that have all times. A power of two. */
export const TIMED_EVERY = 16;

// Constants of this file: those of another are looked up at each use. No calls either: V8 does not inline all of them here.
// Both would cost as much as the stores.
const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const { PCI } = IoRequestType;
const LINK = EventWord.link;
const MOVE = EventWord.move;
const ADDRESS_LOW = EventWord.addressLow;
const ADDRESS_HIGH = EventWord.addressHigh;
const VALUE_LOW = EventWord.valueLow;
const VALUE_HIGH = EventWord.valueHigh;
const TIME = EventWord.time;
const CLIENT = EventWord.client;
const { TO_SHIFT, STATE_MASK, TYPE_SHIFT, SIZE_SHIFT, BYTE_MASK } = MoveBits;
const { IS_WRITE, REFUSED, HAS_REQUEST, HAS_VALUE, FORCED, IS_TIMED, HAS_LINK } = MoveBits;
const READ = Direction.READ;
const FIRST_HEAD_HERE = FIRST_HEAD;
const FIRST_EVENT_HERE = FIRST_EVENT;
const APART = APART_WORDS;
const EVENT = EVENT_WORDS;
const EVENTS = LANE_EVENTS;
const NUMBER_MASK = LANE_EVENTS - 1;
const SLOT_TYPE = SLOT_OFFSET.type >> 2;
const SLOT_DIRECTION = SLOT_OFFSET.direction >> 2;
const SLOT_ADDRESS = SLOT_OFFSET.address >> 2;
const SLOT_SIZE = SLOT_OFFSET.size >> 2;
const SLOT_VALUE = SLOT_OFFSET.value >> 2;
const SLOT_BUS = SLOT_OFFSET.pciBus >> 2;
const SLOT_DEVICE = SLOT_OFFSET.pciDevice >> 2;
const SLOT_FUNCTION = SLOT_OFFSET.pciFunction >> 2;
const SLOT_REGISTER = SLOT_OFFSET.pciRegister >> 2;
const BURST_MASK = TIMED_EVERY - 1;
const NONE = -1;
/** In Node, the global name is a function call. */
const clock = performance;

export interface MoveRecorderOptions {
  /** BURST_MS unless given; 0: every move has its time. */
  readonly burstMs?: number;
}

export class MoveRecorder implements MoveWatcher {
  /** The ring's words: the first one says whether it is on. */
  readonly watching: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  readonly #offsetMs: number;
  readonly #burstMs: number;
  /** Which of the ring's times on the words below are of. */
  #timeOn = 0;
  /** By lane: whether the last two requests were in a burst, and when the last one was. */
  readonly #isBurst = new Int32Array(2 * SLOT_COUNT);
  readonly #lastMs = new Float64Array(2 * SLOT_COUNT);
  /** By lane: whether the request at hand has all times. */
  readonly #isExact = new Int32Array(2 * SLOT_COUNT).fill(1);
  /** By slot: the PENDING event of the last request that was taken; between two links, what it must be. */
  readonly #pending = new Int32Array(SLOT_COUNT);
  readonly #assigned = new Int32Array(SLOT_COUNT);
  /** Where the event of the move lies that is being made; whether it has a time; and, if that tells of bursts, its lane. */
  #at = NONE;
  #isTimed = false;
  #paceLane = NONE;
  /** Number of the client that the next PROCESSING is for; only the HSM sets it. */
  client = 0;
  /** While set, what is completed is completed in its client's place; only the HSM sets it. */
  isForced = false;

  constructor(ring: TraceRing, { burstMs = BURST_MS }: MoveRecorderOptions = {}) {
    this.watching = ring.words;
    this.#times = ring.times;
    this.#offsetMs = ring.clockOffsetMs;
    this.#burstMs = burstMs;
  }

  /** Number, in the Service VM's lane, of the last event by which this recorder's thread moved slot `vcpu` to PROCESSING. */
  assigned(vcpu: number): number {
    return this.#assigned[vcpu] as number;
  }

  moving(slot: Slot, from: number, to: number, page: Int32Array, base: number): void {
    // A slot that is stamped FREE where it was FREE did not move.
    if (from === to) return;
    const words = this.watching;
    const { vcpu } = slot;
    if (words[0] !== this.#timeOn) this.#begin(words[0] as number);
    // As serviceLane and hypervisorLane have it.
    const lane = 2 * vcpu + (to === PROCESSING || to === COMPLETE ? 1 : 0);
    const head = FIRST_HEAD_HERE + lane * APART;
    const number = words[head] as number;
    const at = FIRST_EVENT_HERE + (lane * EVENTS + (number & NUMBER_MASK)) * EVENT;
    let move = (from >>> 0 > FREE ? STATE_MASK : from) | (to << TO_SHIFT);
    let isTimed = true;
    let paceLane = lane;
    if (to === PENDING) {
      this.#isExact[lane] = this.#isBurst[lane] === 0 || ((number >> 1) & BURST_MASK) === 0 ? 1 : 0;
      move |= this.#putRequest(page, base, at);
      words[at + VALUE_HIGH] = page[base + SLOT_VALUE + 1] as number;
    } else if (to === COMPLETE) {
      if (from === PENDING) move |= this.#take(vcpu, lane, at);
      move |= this.isForced ? HAS_VALUE | FORCED : HAS_VALUE;
      words[at + VALUE_LOW] = page[base + SLOT_VALUE] as number;
      words[at + VALUE_HIGH] = page[base + SLOT_VALUE + 1] as number;
    } else {
      if (to === PROCESSING) {
        move |= this.#take(vcpu, lane, at);
        this.#assigned[vcpu] = number;
        words[at + CLIENT] = this.client;
        // Otherwise the request is still the one of PENDING.
        if (page[base + SLOT_TYPE] === PCI) move |= this.#putRequest(page, base, at);
      }
      isTimed = this.#isExact[lane] === 1;
      paceLane = NONE;
    }
    if (isTimed) {
      move |= IS_TIMED;
      this.#times[(at + TIME) >> 1] = 0;
    }
    words[at + MOVE] = move;
    words[head] = (number + 1) | 0;
    this.#at = at;
    this.#isTimed = isTimed;
    this.#paceLane = paceLane;
  }

  moved(): void {
    const at = this.#at;
    if (at === NONE) return;
    this.#at = NONE;
    if (!this.#isTimed) return;
    const nowMs = clock.now() + this.#offsetMs;
    this.#times[(at + TIME) >> 1] = nowMs;
    const lane = this.#paceLane;
    if (lane === NONE) return;
    this.#isBurst[lane] = nowMs - (this.#lastMs[lane] as number) < this.#burstMs ? 1 : 0;
    this.#lastMs[lane] = nowMs;
  }

  refused(): void {
    const at = this.#at;
    if (at === NONE) return;
    this.watching[at + MOVE] = (this.watching[at + MOVE] as number) | REFUSED;
    this.moved();
  }

  /** What this recorder knows of bursts is of the time before the ring was off. */
  #begin(timeOn: number): void {
    this.#timeOn = timeOn;
    this.#isBurst.fill(0);
    this.#lastMs.fill(-Infinity);
  }

  /**
   * The Service VM takes a PENDING request: whether it has all times follows from its number, as in the vCPU's thread, so
   * that both choose the same ones. The number is in a line of the vCPU's and expensive to read: it is counted, and read
   * where the times are taken as well, and told in the event.
   */
  #take(vcpu: number, lane: number, at: number): number {
    const words = this.watching;
    let pending = ((this.#pending[vcpu] as number) + 2) | 0;
    const isExact = this.#isBurst[lane] === 0 || ((pending >> 1) & BURST_MASK) === 0;
    this.#isExact[lane] = isExact ? 1 : 0;
    if (isExact) words[at + LINK] = pending = ((words[FIRST_HEAD_HERE + 2 * vcpu * APART] as number) - 1) | 0;
    this.#pending[vcpu] = pending;
    return isExact ? HAS_LINK : 0;
  }

  /** Writes the slot's request without the value's upper word; returns its part of the move word. */
  #putRequest(page: Int32Array, base: number, at: number): number {
    const words = this.watching;
    const type = page[base + SLOT_TYPE] as number;
    if (type === PCI) {
      words[at + ADDRESS_LOW] =
        (toByte(page[base + SLOT_BUS] as number) << 16) |
        (toByte(page[base + SLOT_DEVICE] as number) << 8) |
        toByte(page[base + SLOT_FUNCTION] as number);
      words[at + ADDRESS_HIGH] = page[base + SLOT_REGISTER] as number;
    } else {
      words[at + ADDRESS_LOW] = page[base + SLOT_ADDRESS] as number;
      words[at + ADDRESS_HIGH] = page[base + SLOT_ADDRESS + 1] as number;
    }
    words[at + VALUE_LOW] = page[base + SLOT_VALUE] as number;
    return (
      HAS_REQUEST |
      (toByte(type) << TYPE_SHIFT) |
      (toByte(page[base + SLOT_SIZE] as number) << SIZE_SHIFT) |
      (page[base + SLOT_DIRECTION] === READ ? 0 : IS_WRITE)
    );
  }
}

function toByte(word: number): number {
  return word >>> 0 > BYTE_MASK ? BYTE_MASK : word;
}
