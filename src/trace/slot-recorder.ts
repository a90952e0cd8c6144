/**
 * SlotRecorder: writes the moves of one slot that one thread makes into a TraceRing. MoveRecorder has one for each slot of
 * its thread's view of the page, as the slot's watcher. While the ring is off it costs a look at a word.
 *
 * A clock reading costs more than everything else here together. After PENDING and COMPLETE it delays nobody: the other
 * side is at work already, and this one would only wait. So these two are always stamped, after the move; the event itself
 * was complete before it. A stamp of PROCESSING or FREE is on the request's way. A slot's request that comes later than
 * BURST_MS after the one before has all four; of requests that follow each other more closely, one in TIMED_EVERY has, and
 * the others have no time for these two moves rather than a wrong one (docs/decisions/0010).
 */

import { Direction, IoRequestType, SLOT_OFFSET } from '../io-request/layout.js';
import type { MoveWatcher } from '../io-request/move-watcher.js';
import { IoRequestState } from '../io-request/state.js';
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

/** Requests of a slot that are closer to each other are a burst. */
export const BURST_MS = 0.005;
/** Of a burst, the requests that have all times, and those that say where the two lanes belong together. Powers of two. */
export const TIMED_EVERY = 64;
export const LINKED_EVERY = 16;

// Constants of this file: those of another are looked up at each use.
const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const { PCI } = IoRequestType;
const { TO_SHIFT, STATE_MASK, TYPE_SHIFT, SIZE_SHIFT, BYTE_MASK } = MoveBits;
const { IS_WRITE, REFUSED, HAS_REQUEST, HAS_VALUE, FORCED, IS_TIMED, HAS_LINK } = MoveBits;
const TO_PENDING = FREE | (PENDING << TO_SHIFT) | HAS_REQUEST | IS_TIMED;
const TO_PROCESSING = PENDING | (PROCESSING << TO_SHIFT);
const TO_COMPLETE = (COMPLETE << TO_SHIFT) | HAS_VALUE | IS_TIMED;
const TO_FREE = FREE << TO_SHIFT;
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
const TIMED_MASK = TIMED_EVERY - 1;
const LINKED_MASK = LINKED_EVERY - 1;
const SLOT_TYPE = SLOT_OFFSET.type >> 2;
const SLOT_DIRECTION = SLOT_OFFSET.direction >> 2;
const SLOT_ADDRESS = SLOT_OFFSET.address >> 2;
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
  /** Number of the client that the next PROCESSING is for; only the HSM sets it. */
  client: number;
  /** While set, what is completed is completed in its client's place; only the HSM sets it. */
  isForced: boolean;
}

/** Whether requests come close to each other, as one side of a slot sees it. */
class Pace {
  readonly #burstMs: number;
  readonly #last = new Float64Array(1);
  isBurst = false;
  /** Whether the request at hand has all times. */
  isExact = true;

  constructor(burstMs: number) {
    this.#burstMs = burstMs;
  }

  at(nowMs: number): void {
    this.isBurst = nowMs - (this.#last[0] as number) < this.#burstMs;
    this.#last[0] = nowMs;
  }

  reset(): void {
    this.isBurst = false;
    this.#last[0] = -Infinity;
  }
}

export class SlotRecorder implements MoveWatcher {
  /** The ring's words: the first one says whether it is on. */
  readonly watching: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  readonly #thread: RecordingThread;
  readonly #offsetMs: number;
  /** Where the lanes' counts and their first events are. */
  readonly #upperHead: number;
  readonly #upper: number;
  readonly #lowerHead: number;
  readonly #lower: number;
  readonly #hypervisor: Pace;
  readonly #service: Pace;
  /** Which of the ring's times on the pace is of. */
  #timeOn = 0;
  /** The PENDING event of the last request that was taken; between two links, what it must be. */
  #pending = 0;
  #assigned = 0;
  /** Where the event of the move lies that is being made, and whose pace its time tells of. */
  #at = 0;
  #pace: Pace | undefined;

  constructor(ring: TraceRing, vcpu: number, thread: RecordingThread, burstMs: number) {
    this.watching = ring.words;
    this.#times = ring.times;
    this.#thread = thread;
    this.#offsetMs = ring.clockOffsetMs;
    this.#upperHead = headIndex(hypervisorLane(vcpu));
    this.#upper = eventIndex(hypervisorLane(vcpu), 0);
    this.#lowerHead = headIndex(serviceLane(vcpu));
    this.#lower = eventIndex(serviceLane(vcpu), 0);
    this.#hypervisor = new Pace(burstMs);
    this.#service = new Pace(burstMs);
  }

  /**
   * Number, in the Service VM's lane, of the event by which this thread moved the slot's request to PROCESSING; undefined
   * when that request does not have all times.
   */
  get timed(): number | undefined {
    return this.#service.isExact ? this.#assigned : undefined;
  }

  filling(page: Int32Array, base: number): boolean {
    const words = this.watching;
    if (words[0] !== this.#timeOn) this.#begin(words[0] as number);
    const number = words[this.#upperHead] as number;
    const at = this.#upper + (number & NUMBER_MASK) * EVENT;
    const pace = this.#hypervisor;
    pace.isExact = !pace.isBurst || ((number >> 1) & TIMED_MASK) === 0;
    words[at + VALUE_HIGH] = page[base + SLOT_VALUE + 1] as number;
    words[at + MOVE] = TO_PENDING | this.#putRequest(page, base, at);
    this.#times[(at + TIME) >> 1] = 0;
    words[this.#upperHead] = (number + 1) | 0;
    this.#at = at;
    this.#pace = pace;
    return true;
  }

  releasing(from: number): boolean {
    const words = this.watching;
    if (words[0] !== this.#timeOn) this.#begin(words[0] as number);
    const number = words[this.#upperHead] as number;
    const at = this.#upper + (number & NUMBER_MASK) * EVENT;
    const { isExact } = this.#hypervisor;
    words[at + MOVE] = TO_FREE | (from >>> 0 > FREE ? STATE_MASK : from) | (isExact ? IS_TIMED : 0);
    if (isExact) this.#times[(at + TIME) >> 1] = 0;
    words[this.#upperHead] = (number + 1) | 0;
    this.#at = at;
    this.#pace = undefined;
    return isExact;
  }

  assigning(page: Int32Array, base: number): boolean {
    const words = this.watching;
    if (words[0] !== this.#timeOn) this.#begin(words[0] as number);
    const number = words[this.#lowerHead] as number;
    const at = this.#lower + (number & NUMBER_MASK) * EVENT;
    let move = TO_PROCESSING | this.#take(at);
    const { isExact } = this.#service;
    if (isExact) {
      move |= IS_TIMED;
      this.#times[(at + TIME) >> 1] = 0;
    }
    this.#assigned = number;
    words[at + CLIENT] = this.#thread.client;
    // Otherwise the request is still the one of PENDING.
    if (page[base + SLOT_TYPE] === PCI) move |= HAS_REQUEST | this.#putRequest(page, base, at);
    words[at + MOVE] = move;
    words[this.#lowerHead] = (number + 1) | 0;
    this.#at = at;
    this.#pace = undefined;
    return isExact;
  }

  completing(from: number, page: Int32Array, base: number): boolean {
    const words = this.watching;
    if (words[0] !== this.#timeOn) this.#begin(words[0] as number);
    const number = words[this.#lowerHead] as number;
    const at = this.#lower + (number & NUMBER_MASK) * EVENT;
    let move = TO_COMPLETE | from;
    if (from === PENDING) move |= this.#take(at);
    if (this.#thread.isForced) move |= FORCED;
    words[at + VALUE_LOW] = page[base + SLOT_VALUE] as number;
    words[at + VALUE_HIGH] = page[base + SLOT_VALUE + 1] as number;
    words[at + MOVE] = move;
    this.#times[(at + TIME) >> 1] = 0;
    words[this.#lowerHead] = (number + 1) | 0;
    this.#at = at;
    this.#pace = this.#service;
    return true;
  }

  moved(): void {
    const nowMs = clock.now() + this.#offsetMs;
    this.#times[(this.#at + TIME) >> 1] = nowMs;
    this.#pace?.at(nowMs);
  }

  refused(): void {
    const at = this.#at + MOVE;
    const move = this.watching[at] as number;
    this.watching[at] = move | REFUSED;
    if ((move & IS_TIMED) !== 0) this.moved();
  }

  /** What this recorder knows of bursts is of the time before the ring was off. */
  #begin(timeOn: number): void {
    this.#timeOn = timeOn;
    this.#hypervisor.reset();
    this.#service.reset();
  }

  /**
   * The Service VM takes a PENDING request: whether it has all times follows from its number, as in the vCPU's thread, so
   * that both choose the same ones. The number is in a line of the vCPU's and expensive to read: it is counted, and read
   * where the times are taken as well. Every now and then the event tells it; returns that part of the move word.
   */
  #take(at: number): number {
    const words = this.watching;
    const pace = this.#service;
    let pending = (this.#pending + 2) | 0;
    const isExact = !pace.isBurst || ((pending >> 1) & TIMED_MASK) === 0;
    if (isExact) pending = ((words[this.#upperHead] as number) - 1) | 0;
    pace.isExact = isExact;
    this.#pending = pending;
    if (!isExact && ((pending >> 1) & LINKED_MASK) !== 0) return 0;
    words[at + LINK] = pending;
    return HAS_LINK;
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
      (toByte(type) << TYPE_SHIFT) |
      (toByte(page[base + SLOT_SIZE] as number) << SIZE_SHIFT) |
      (page[base + SLOT_DIRECTION] === READ ? 0 : IS_WRITE)
    );
  }
}

function toByte(word: number): number {
  return word >>> 0 > BYTE_MASK ? BYTE_MASK : word;
}
