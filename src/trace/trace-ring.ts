/**
 * TraceRing: where a VM's moves are kept until somebody reads them: for each slot a ring of events, all in one
 * SharedArrayBuffer that travels to every thread which makes moves. MoveRecorder writes, RingReader reads.
 *
 * The rule that makes it work without locks: whoever owns a slot is the only one who writes to its ring, and writes the
 * event before the compare-and-exchange that gives the slot away. So plain stores do, and the state word orders them. A
 * page that strangers write may make two threads believe that they own a slot; then the ring holds rubbish, inside its
 * bounds.
 *
 * Memory that no event was written to is not taken from the machine; a vCPU's ring, once full, is RING_EVENTS * 64 bytes.
 */

import { SLOT_COUNT } from '../io-request/layout.js';

/** Events that one slot's ring holds; a request is four. A power of two. */
export const RING_EVENTS = 2048;
/** Words of one event: a cache line. */
export const EVENT_WORDS = 16;

/** Words of an event. Few, and packed: every one is a store between a vCPU and its answer. */
export const EventWord = {
  /** The event's number plus 1, so that memory which was never written is no event; 0 while it is being written. */
  number: 0,
  /** States, type, size and flags: see `MoveBits`. */
  move: 1,
  /** With `HAS_REQUEST`. In a PCI request: bus, device and function, a byte each from bit 16 down. */
  addressLow: 2,
  /** In a PCI request the register. */
  addressHigh: 3,
  /** With `HAS_REQUEST` or `HAS_VALUE`. */
  valueLow: 4,
  valueHigh: 5,
  /** Float64, in ms since the ring's origin; 0: not stamped yet. */
  time: 6,
  /** Who was given the request, at PROCESSING; 0: nobody that has a number. */
  client: 8,
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
} as const;

const LINE_WORDS = 16;
/** The first word: slots look at it before each move (MoveWatcher). */
const IS_ON = 0;
/** Float64: `performance.timeOrigin` of the thread that made the ring. */
const ORIGIN = 2;
const FIRST_HEAD = LINE_WORDS;
const FIRST_EVENT = FIRST_HEAD + SLOT_COUNT * LINE_WORDS;
const WORDS = FIRST_EVENT + SLOT_COUNT * RING_EVENTS * EVENT_WORDS;

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

  set isOn(on: boolean) {
    this.words[IS_ON] = on ? 1 : 0;
  }

  /** Unix time in ms that the ring's times count from. */
  get originMs(): number {
    return this.times[ORIGIN >> 1] as number;
  }

  /** What to add to this thread's `performance.now()` to get the ring's time: threads may have origins of their own. */
  get clockOffsetMs(): number {
    return performance.timeOrigin - this.originMs;
  }

  /** Events that were ever written to slot `vcpu`'s ring, as an int32 that wraps. */
  head(vcpu: number): number {
    return this.words[headIndex(vcpu)] as number;
  }
}

/** Index of the word that counts slot `vcpu`'s events. */
export function headIndex(vcpu: number): number {
  return FIRST_HEAD + vcpu * LINE_WORDS;
}

/** Index of the first word of event `number` of slot `vcpu`. */
export function eventIndex(vcpu: number, number: number): number {
  return FIRST_EVENT + (vcpu * RING_EVENTS + (number & (RING_EVENTS - 1))) * EVENT_WORDS;
}
