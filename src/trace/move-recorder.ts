/**
 * MoveRecorder: writes the moves that one thread makes into a TraceRing. Each view of the page that makes moves has one
 * as its slots' watcher: a vCPU's thread, the Service VM's thread, a device's thread. While the ring is off it costs a
 * look at a word.
 *
 * A clock reading costs more than everything else here together. After PENDING and COMPLETE it delays nobody: the other
 * side is at work already, and this one would only wait. So these two are always stamped, after the move; the event itself
 * was complete before it. A stamp of PROCESSING or FREE is on the request's way. A slot's request that comes later than
 * BURST_MS after the one before has all four; of requests that follow each other more closely, one in TIMED_EVERY has, and
 * the others have no time for these two moves rather than a wrong one (docs/decisions/0009).
 */

import { IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import type { MoveWatcher, Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import {
  eventIndex,
  EventWord,
  headIndex,
  hypervisorLane,
  MoveBits,
  serviceLane,
  type TraceRing,
} from './trace-ring.js';

/** Requests of a slot that are closer to each other are a burst. */
export const BURST_MS = 0.005;
/** Of a burst, the requests that have all times. A power of two. */
export const TIMED_EVERY = 8;

// Constants of this file: those of another are looked up at each use, which would cost as much as the stores.
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

  moving(slot: Slot, from: number, to: number): void {
    // A slot that is stamped FREE where it was FREE did not move.
    if (from === to) return;
    const words = this.watching;
    const { vcpu } = slot;
    if (words[0] !== this.#timeOn) this.#begin(words[0] as number);
    const isService = to === PROCESSING || to === COMPLETE;
    const lane = isService ? serviceLane(vcpu) : hypervisorLane(vcpu);
    const head = headIndex(lane);
    const number = words[head] as number;
    const at = eventIndex(lane, number);
    let move = (from >>> 0 > FREE ? STATE_MASK : from) | (to << TO_SHIFT);
    let isTimed = true;
    let paceLane = lane;
    if (isService && from === PENDING) move |= this.#take(vcpu, lane, at);
    if (to === PENDING) {
      this.#isExact[lane] = this.#isBurst[lane] === 0 || ((number >> 1) & BURST_MASK) === 0 ? 1 : 0;
      move |= this.#putRequest(slot, at);
      words[at + VALUE_HIGH] = slot.valueHigh;
    } else if (to === COMPLETE) {
      move |= this.isForced ? HAS_VALUE | FORCED : HAS_VALUE;
      words[at + VALUE_LOW] = slot.valueLow;
      words[at + VALUE_HIGH] = slot.valueHigh;
    } else {
      isTimed = this.#isExact[lane] === 1;
      paceLane = NONE;
      if (to === PROCESSING) {
        this.#assigned[vcpu] = number;
        words[at + CLIENT] = this.client;
        // Otherwise the request is still the one of PENDING.
        if (slot.type === PCI) move |= this.#putRequest(slot, at);
      }
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
    if (isExact) words[at + LINK] = pending = ((words[headIndex(hypervisorLane(vcpu))] as number) - 1) | 0;
    this.#pending[vcpu] = pending;
    return isExact ? HAS_LINK : 0;
  }

  /** Writes the slot's request without the value's upper word; returns its part of the move word. */
  #putRequest(slot: Slot, at: number): number {
    const words = this.watching;
    const { type } = slot;
    if (type === PCI) {
      words[at + ADDRESS_LOW] = (toByte(slot.pciBus) << 16) | (toByte(slot.pciDevice) << 8) | toByte(slot.pciFunction);
      words[at + ADDRESS_HIGH] = slot.pciRegister;
    } else {
      words[at + ADDRESS_LOW] = slot.addressLow;
      words[at + ADDRESS_HIGH] = slot.addressHigh;
    }
    words[at + VALUE_LOW] = slot.valueLow;
    return (
      HAS_REQUEST | (toByte(type) << TYPE_SHIFT) | (toByte(slot.sizeLow) << SIZE_SHIFT) | (slot.isRead ? 0 : IS_WRITE)
    );
  }
}

function toByte(word: number): number {
  return word >>> 0 > BYTE_MASK ? BYTE_MASK : word;
}
