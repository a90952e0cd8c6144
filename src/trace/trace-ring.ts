/**
 * TraceRing: where a VM's moves are kept until somebody reads them: for each slot two lanes of events, one for the moves
 * of the hypervisor and one for those of the Service VM, all in one SharedArrayBuffer that travels to every thread which
 * makes moves. MoveRecorder writes, RingReader reads.
 *
 * The rule that makes it work without locks: at any time one thread writes to a lane. To the hypervisor's it is the vCPU's, or
 * whoever resets the VM while no vCPU runs. To the Service VM's it is the one that assigns requests, or, while a slot is
 * PROCESSING, its client's, which writes before it gives the slot away. So plain stores do. A page that strangers write may
 * make two threads believe that they own a slot; then the lanes hold rubbish, inside their bounds.
 *
 * Why two lanes: a line of memory that both sides write goes from core to core at every request, which costs more than
 * writing the events (docs/decisions/0010). So the lanes are in order each, and COMPLETE mostly says which PENDING it answers.
 *
 * Memory that no event was written to is not taken from the machine; a vCPU's lanes, once full, are 64 KiB.
 */

import { SLOT_COUNT } from '../io-request/layout.js';

/** Events that one lane holds; a request is two in each. A power of two. */
export const LANE_EVENTS = 1024;
/** Words of one event: half a cache line. */
export const EVENT_WORDS = 8;

/** Words of an event. Few, and packed: every one is a store between a vCPU and its answer. */
export const EventWord = {
  /** With `HAS_LINK`: number of the request's PENDING event in the hypervisor's lane. */
  link: 0,
  /** States, type, size and flags: see `MoveBits`. */
  move: 1,
  /** With `HAS_REQUEST`. In a PCI request: bus, device and function, a byte each from bit 16 down. */
  addressLow: 2,
  /** In a PCI request the register. */
  addressHigh: 3,
  /** With `HAS_REQUEST` or `HAS_VALUE`. */
  valueLow: 4,
  /** Not at PROCESSING: the request that it may have is a PCI one, of 32 bits. */
  valueHigh: 5,
  /** Who was given the request, at PROCESSING; 0: nobody that has a number. */
  client: 5,
  /** Float64, in ms since the ring's origin, with `IS_TIMED`; 0: not stamped yet. */
  time: 6,
} as const;

/** Inside the move word. What does not fit (the page may hold any number) is all ones. */
export const MoveBits = {
  /** 4 bits each, `IoRequestState`. */
  FROM_SHIFT: 0,
  TO_SHIFT: 4,
  STATE_MASK: 0xf,
  /** 8 bits each. */
  TYPE_SHIFT: 8,
  SIZE_SHIFT: 16,
  BYTE_MASK: 0xff,
  IS_WRITE: 1 << 24,
  /** The slot was not in the state that the move is from; nothing was moved. */
  REFUSED: 1 << 25,
  /** The event has the request; otherwise it is that of the event before. */
  HAS_REQUEST: 1 << 26,
  /** The event has the value, of a request that an event before has. */
  HAS_VALUE: 1 << 27,
  /** The HSM finished the request in its client's place. */
  FORCED: 1 << 28,
  /** The event has a time of its own. */
  IS_TIMED: 1 << 29,
  HAS_LINK: 1 << 30,
} as const;

/** Two cache lines: processors fetch the second one with the first. */
export const APART_WORDS = 32;
/** 0 while the ring is off, else how often it was switched on. The first word: slots look at it (SlotObserver). */
const IS_ON = 0;
const TIMES_ON = 1;
/** Float64: `performance.timeOrigin` of the thread that made the ring. */
const ORIGIN = 2;
const LANES = 2 * SLOT_COUNT;
export const FIRST_HEAD = APART_WORDS;
export const FIRST_EVENT = FIRST_HEAD + LANES * APART_WORDS;
const WORDS = FIRST_EVENT + LANES * LANE_EVENTS * EVENT_WORDS;

export class TraceRing {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly times: Float64Array<SharedArrayBuffer>;

  /** A new ring, switched off, or a view of one that another thread made. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(WORDS * 4);
    this.words = new Int32Array(this.buffer);
    this.times = new Float64Array(this.buffer);
    if (buffer === undefined) this.times[ORIGIN >> 1] = performance.timeOrigin;
  }

  /** A glimpse: threads see a change at one of their next moves. */
  get isOn(): boolean {
    return this.words[IS_ON] !== 0;
  }

  /** Set by one thread only. */
  set isOn(on: boolean) {
    if (on === this.isOn) return;
    if (on) this.words[TIMES_ON] = Math.max(1, ((this.words[TIMES_ON] as number) + 1) | 0);
    this.words[IS_ON] = on ? (this.words[TIMES_ON] as number) : 0;
  }

  /** Unix time in ms that the ring's times count from. */
  get originMs(): number {
    return this.times[ORIGIN >> 1] as number;
  }

  /** What to add to this thread's `performance.now()` to get the ring's time: threads may have origins of their own. */
  get clockOffsetMs(): number {
    return performance.timeOrigin - this.originMs;
  }

  /** Events that were ever written to a lane, as an int32 that wraps. */
  head(lane: number): number {
    return this.words[headIndex(lane)] as number;
  }

  /** The time of event `number` of a lane; 0: it has none, or not yet. The event must be in the lane. */
  time(lane: number, number: number): number {
    const at = eventIndex(lane, number);
    if (((this.words[at + EventWord.move] as number) & MoveBits.IS_TIMED) === 0) return 0;
    const time = this.times[(at + EventWord.time) >> 1] as number;
    return time > 0 && time < Infinity ? time : 0;
  }
}

/** The lane of the moves of slot `vcpu` to PENDING and FREE, which are the hypervisor's. */
export function hypervisorLane(vcpu: number): number {
  return 2 * vcpu;
}

/** The lane of the moves of slot `vcpu` to PROCESSING and COMPLETE. */
export function serviceLane(vcpu: number): number {
  return 2 * vcpu + 1;
}

/** Index of the word that counts a lane's events. */
export function headIndex(lane: number): number {
  return FIRST_HEAD + lane * APART_WORDS;
}

/** Index of the first word of event `number` of a lane. */
export function eventIndex(lane: number, number: number): number {
  return FIRST_EVENT + (lane * LANE_EVENTS + (number & (LANE_EVENTS - 1))) * EVENT_WORDS;
}

/** The state word of a move, `IoRequestState` or 0xf. */
export function movedFrom(move: number): number {
  return (move >> MoveBits.FROM_SHIFT) & MoveBits.STATE_MASK;
}

export function movedTo(move: number): number {
  return (move >> MoveBits.TO_SHIFT) & MoveBits.STATE_MASK;
}
