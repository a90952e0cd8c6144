/**
 * RingReader: takes a slot's events out of the two lanes of a TraceRing, in the order of the moves. What the hypervisor
 * moved before a move of the Service VM is in its lane by then, or is due there; where an event of the Service VM's says which
 * one of the hypervisor's it follows, that is its place, and in between it follows the next PENDING.
 *
 * It has to be in the thread that assigns requests: to that one its own lane is never behind.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { LaneReader } from './lane-reader.js';
import {
  EVENT_WORDS,
  hypervisorLane,
  LANE_EVENTS,
  movedTo,
  MoveBits,
  serviceLane,
  type TraceRing,
} from './trace-ring.js';

const { FREE, PENDING } = IoRequestState;
const UNKNOWN = -1;

/** One event as it lies in the ring. One object, used again for each: take what you need inside the call. */
export interface RingEvent {
  readonly vcpu: number;
  /** Of the slot's events that were given, an int32 that wraps. */
  readonly number: number;
  /** Without `isTimed`, that of the slot's event before: it was not earlier, and not later than the next one's. */
  readonly timeMs: number;
  readonly isTimed: boolean;
  /** The words, `EventWord`. */
  readonly words: Int32Array;
}

/** The events that one call takes: those that were there when it began. */
interface Window {
  /** Numbers behind the last ones. */
  readonly end: number;
  readonly serviceEnd: number;
  /** What precedes the Service VM's events before this one is before `end`. */
  readonly settled: number;
  /** Nobody will write any more. */
  readonly isLast: boolean;
}

/** What is known of one slot between two calls. */
interface SlotReader {
  readonly vcpu: number;
  readonly hypervisor: LaneReader;
  readonly service: LaneReader;
  /** That the events until here lead to. */
  state: number;
  lastMs: number;
  given: number;
  /** Something was lost: where the lanes belong together is not known before the next link. */
  isAstray: boolean;
}

export class RingReader {
  readonly #slots: readonly SlotReader[];
  readonly #event: { -readonly [Key in keyof RingEvent]: RingEvent[Key] };

  /** From now on. */
  constructor(ring: TraceRing) {
    this.#slots = Array.from({ length: SLOT_COUNT }, (_, vcpu) => ({
      vcpu,
      hypervisor: new LaneReader(ring, hypervisorLane(vcpu)),
      service: new LaneReader(ring, serviceLane(vcpu)),
      state: UNKNOWN,
      lastMs: 0,
      given: 0,
      isAstray: false,
    }));
    this.#event = { vcpu: 0, number: 0, timeMs: 0, isTimed: false, words: new Int32Array(EVENT_WORDS) };
  }

  /** Events of slot `vcpu` that were not read. */
  unread(vcpu: number): number {
    const { hypervisor, service } = this.#slots[vcpu] as SlotReader;
    return hypervisor.unread + service.unread;
  }

  /**
   * Gives slot `vcpu`'s new events to `take`, in order; returns how many were lost since the last call. An event at the
   * end that has no time yet is left for the next call, unless this is the last one. At most `most` are given: a writer
   * may be quicker than who takes them.
   */
  read(vcpu: number, take: (event: RingEvent, lost: number) => void, isLast = false, most = Infinity): number {
    const slot = this.#slots[vcpu] as SlotReader;
    const { hypervisor, service } = slot;
    // In this order, see `settled`.
    const settled = service.head;
    const end = hypervisor.head;
    const serviceEnd = service.head;
    hypervisor.isOver = service.isOver = isLast;
    const window = { end, serviceEnd, settled: isLast ? serviceEnd : settled, isLast };
    let lost = 0;
    for (let taken = 0; taken < most; taken++) {
      lost += this.#catchUp(slot, window);
      const lane = this.#first(slot, window, window.settled);
      if (lane === undefined || !this.#put(slot, lane, window)) return lost;
      take(this.#event, lost);
      lost = 0;
    }
    return lost;
  }

  /** Leaves out all of slot `vcpu`'s new events but about the last `most`; returns how many. */
  skip(vcpu: number, most: number): number {
    const slot = this.#slots[vcpu] as SlotReader;
    const { hypervisor, service } = slot;
    const half = most >> 1;
    const left = hypervisor.dropTo((hypervisor.head - half) | 0) + service.dropTo((service.head - half) | 0);
    if (left > 0) slot.isAstray = true;
    return left;
  }

  /** The lane whose next event comes first; undefined: none, or what comes before it is still to be seen. */
  #first(slot: SlotReader, { end, serviceEnd }: Window, settled: number): LaneReader | undefined {
    const { hypervisor, service, state } = slot;
    const hasOne = hypervisor.hasNext(end);
    if (!service.hasNext(serviceEnd)) return hasOne ? hypervisor : undefined;
    const { link, from } = service;
    const ahead = link === undefined ? undefined : (link - hypervisor.next) | 0;
    if (ahead === undefined || ahead < 0) {
      // Only the Service VM moves a slot that is PROCESSING, but for a reset.
      if (from !== PENDING) return service;
      const isWithdrawn = hasOne && hypervisor.from === PENDING && movedTo(hypervisor.move) === FREE;
      // A link that is behind was counted by who missed a withdrawn request: the states tell.
      if (state === PENDING && !isWithdrawn) return service;
      if (state === UNKNOWN && (ahead === -1 ? !isWithdrawn : !hasOne && !hypervisor.isDue(end))) return service;
    } else if (ahead >= LANE_EVENTS) return service;
    if (hasOne) return hypervisor;
    return !hypervisor.isDue(end) && ((settled - service.next) | 0) > 0 ? service : undefined;
  }

  /** Makes the event of what `lane` has next. False when its time is not known yet. */
  #put(slot: SlotReader, lane: LaneReader, window: Window): boolean {
    const event = this.#event;
    const { move, words } = lane;
    const isTimed = (move & MoveBits.IS_TIMED) !== 0;
    const own = isTimed ? lane.time() : 0;
    event.words.set(words);
    lane.advance();
    const next = this.#first(slot, window, window.serviceEnd);
    if (isTimed && own === 0 && next === undefined && !window.isLast) {
      lane.retreat();
      return false;
    }
    // A stamp is made after its move, so it may be missing yet, or be later than the next move's. An untimed move is
    // followed by a timed one of the same lane.
    const bound = next === undefined ? 0 : next.time() || next.time(1);
    const time = own === 0 || (bound !== 0 && bound < own) ? (isTimed ? bound : 0) : own;
    slot.lastMs = Math.max(slot.lastMs, time, Number.MIN_VALUE);
    event.vcpu = slot.vcpu;
    event.number = slot.given;
    event.timeMs = slot.lastMs;
    event.isTimed = isTimed;
    slot.given = (slot.given + 1) | 0;
    if ((move & MoveBits.REFUSED) === 0) slot.state = movedTo(move);
    return true;
  }

  /** Counts what was overwritten, and then drops what comes before the next event that has a link, if there is one. */
  #catchUp(slot: SlotReader, { end, serviceEnd }: Window): number {
    const { hypervisor, service } = slot;
    hypervisor.hasNext(end);
    service.hasNext(serviceEnd);
    let lost = hypervisor.takeLost() + service.takeLost();
    if (lost > 0) slot.isAstray = true;
    if (!slot.isAstray) return 0;
    for (; service.hasNext(serviceEnd); service.advance(), lost++) {
      const { link, from } = service;
      if (from !== PENDING || link === undefined || ((link - hypervisor.next) | 0) < 0 || ((end - link) | 0) <= 0)
        continue;
      slot.isAstray = false;
      slot.state = UNKNOWN;
      return lost + hypervisor.dropTo(link);
    }
    return lost;
  }
}
