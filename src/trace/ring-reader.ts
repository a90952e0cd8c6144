/**
 * RingReader: takes the events out of a TraceRing, slot by slot, in order. It stops nobody: a reader that is slower than
 * the VM is overtaken, notices it by the events' numbers, and counts what it lost.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import { eventIndex, EventWord, EVENT_WORDS, MoveBits, RING_EVENTS, type TraceRing } from './trace-ring.js';

/** A reader that was overtaken goes on this far behind the writer, so as not to be overtaken again at once. */
const LEEWAY_EVENTS = RING_EVENTS / 4;

/** One event as it lies in the ring. One object, used again for each: take what you need inside the call. */
export interface RingEvent {
  readonly vcpu: number;
  /** Of the slot's events, an int32 that wraps. */
  readonly number: number;
  readonly timeMs: number;
  /** The words, `EventWord`. */
  readonly words: Int32Array;
}

export class RingReader {
  readonly #ring: TraceRing;
  readonly #next = new Int32Array(SLOT_COUNT);
  readonly #lastMs = new Float64Array(SLOT_COUNT);
  readonly #words = new Int32Array(EVENT_WORDS);
  readonly #event: { -readonly [Key in keyof RingEvent]: RingEvent[Key] };

  /** From now on. */
  constructor(ring: TraceRing) {
    this.#ring = ring;
    this.#event = { vcpu: 0, number: 0, timeMs: 0, words: this.#words };
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) this.#next[vcpu] = ring.head(vcpu);
  }

  /** Whether slot `vcpu` has something that was not read. */
  hasMore(vcpu: number): boolean {
    return this.#ring.head(vcpu) !== this.#next[vcpu];
  }

  /**
   * Gives slot `vcpu`'s new events to `take`, in order; returns how many were lost since the last call. An event at the
   * end that has no time yet is left for the next call, unless this is the last one. At most `most` are given: a writer
   * may be quicker than who takes them.
   */
  read(vcpu: number, take: (event: RingEvent, lost: number) => void, isLast = false, most = Infinity): number {
    const ring = this.#ring;
    let lost = 0;
    let taken = 0;
    for (let next = this.#next[vcpu] as number; ; next = this.#next[vcpu]) {
      if (taken === most) return lost;
      const ahead = (ring.head(vcpu) - next) | 0;
      if (ahead === 0) return lost;
      // Behind by more than the ring holds, or ahead of the writer: then the words are rubbish and so is the distance.
      if (ahead < 0 || ahead > RING_EVENTS) {
        const skipped = ahead < 0 ? ahead : ahead - RING_EVENTS + LEEWAY_EVENTS;
        this.#next[vcpu] = next + skipped;
        lost += Math.max(1, skipped);
        continue;
      }
      if (!this.#copy(vcpu, next)) {
        // Overtaken while reading, or two writers at once.
        this.#next[vcpu] = next + 1;
        lost++;
        continue;
      }
      const timeMs = this.#time(vcpu, next, isLast);
      if (timeMs === 0) return lost;
      this.#event.vcpu = vcpu;
      this.#event.number = next;
      this.#event.timeMs = this.#lastMs[vcpu] = timeMs;
      this.#next[vcpu] = next + 1;
      take(this.#event, lost);
      lost = 0;
      taken++;
    }
  }

  /** Leaves out all of slot `vcpu`'s new events but the last `most`; returns how many. */
  skip(vcpu: number, most: number): number {
    const left = (this.#ring.head(vcpu) - (this.#next[vcpu] as number) - most) | 0;
    if (left <= 0) return 0;
    this.#next[vcpu] = (this.#next[vcpu] as number) + left;
    return left;
  }

  /** False when the event was written again meanwhile. */
  #copy(vcpu: number, number: number): boolean {
    const { words } = this.#ring;
    const at = eventIndex(vcpu, number);
    const expected = (number + 1) | 0;
    for (let i = 0; i < EVENT_WORDS; i++) this.#words[i] = words[at + i] as number;
    return this.#words[EventWord.number] === expected && words[at + EventWord.number] === expected;
  }

  /**
   * The time of a move is stamped after it, so its stamp may be missing yet, or be later than that of the other side's
   * next move. No move happened after the next one or before the last one. 0: not known yet.
   */
  #time(vcpu: number, number: number, isLast: boolean): number {
    const last = this.#lastMs[vcpu] as number;
    const own = this.#stamp(vcpu, number);
    const hasNext = ((this.#ring.head(vcpu) - number) | 0) > 1;
    const next = hasNext ? this.#stamp(vcpu, number + 1) : 0;
    if (own === 0 && next === 0 && !hasNext && !isLast) return 0;
    const time = own === 0 ? (next === 0 ? last : next) : next === 0 ? own : Math.min(own, next);
    return Math.max(last, time, Number.MIN_VALUE);
  }

  #stamp(vcpu: number, number: number): number {
    const stamp = this.#ring.times[(eventIndex(vcpu, number) + EventWord.time) >> 1] as number;
    return stamp > 0 && stamp < Infinity ? stamp : 0;
  }
}

/** The state word of a move, `IoRequestState` or 0xff. */
export function movedFrom(move: number): number {
  return (move >> MoveBits.FROM_SHIFT) & MoveBits.STATE_MASK;
}

export function movedTo(move: number): number {
  return (move >> MoveBits.TO_SHIFT) & MoveBits.STATE_MASK;
}
