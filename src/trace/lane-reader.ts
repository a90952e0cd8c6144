/**
 * LaneReader: takes the events out of one lane of a TraceRing, in order. It stops nobody: a reader that is slower than the
 * VM is overtaken, notices it by the lane's count, and counts what it lost.
 */

import { IoRequestState } from '../io-request/state.js';
import {
  EVENT_WORDS,
  eventIndex,
  EventWord,
  LANE_EVENTS,
  movedFrom,
  movedTo,
  MoveBits,
  type TraceRing,
} from './trace-ring.js';

/** A reader that was overtaken goes on this far behind the writer, so as not to be overtaken again at once. */
const LEEWAY_EVENTS = LANE_EVENTS / 4;

export class LaneReader {
  readonly #ring: TraceRing;
  readonly #lane: number;
  /** The words of the event that `hasNext` found, `EventWord`. */
  readonly words = new Int32Array(EVENT_WORDS);
  /** Nobody writes any more: what is due never comes. */
  isOver = false;
  #next: number;
  #copied: number | undefined;
  #lost = 0;

  /** From now on. */
  constructor(ring: TraceRing, lane: number) {
    this.#ring = ring;
    this.#lane = lane;
    this.#next = ring.head(lane);
  }

  /** Number of the next event, an int32 that wraps. */
  get next(): number {
    return this.#next;
  }

  get head(): number {
    return this.#ring.head(this.#lane);
  }

  /** Events that were not read; of words that are rubbish any number. */
  get unread(): number {
    return (this.head - this.#next) >>> 0;
  }

  get move(): number {
    return this.words[EventWord.move] as number;
  }

  get from(): number {
    return movedFrom(this.move);
  }

  /** The request's PENDING event in the hypervisor's lane, if this event says so, or the one that follows it in the lane. */
  get link(): number | undefined {
    if ((this.move & MoveBits.HAS_LINK) !== 0) return this.words[EventWord.link];
    if (movedTo(this.move) !== IoRequestState.PROCESSING || ((this.head - this.#next) | 0) < 2) return undefined;
    const { words } = this.#ring;
    const at = eventIndex(this.#lane, (this.#next + 1) | 0);
    const move = words[at + EventWord.move] as number;
    const isAnswer = movedFrom(move) === IoRequestState.PROCESSING && (move & MoveBits.HAS_LINK) !== 0;
    return isAnswer ? words[at + EventWord.link] : undefined;
  }

  /** Time of the next event, or of the one behind it; 0: none, or not yet. */
  time(behind = 0): number {
    const number = (this.#next + behind) | 0;
    const time = this.#ring.time(this.#lane, number);
    const age = (this.head - number) | 0;
    return age > 0 && age < LANE_EVENTS ? time : 0;
  }

  /** Events that were lost since the last call. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Whether the next event, of those before number `end`, is still to be written. */
  isDue(end: number): boolean {
    return !this.hasNext(end) && ((end - this.#next) | 0) > 0;
  }

  /** Whether there is an event before number `end`; then `words` has it. */
  hasNext(end: number): boolean {
    for (;;) {
      const ahead = (end - this.#next) | 0;
      // Ahead of the writer: then the words are rubbish and so is the distance. Ahead of `end` alone it is after a skip.
      if (ahead < 0 && ((this.head - this.#next) | 0) < 0) this.#skipTo(this.head, 1);
      else if (ahead > LANE_EVENTS) this.#skipTo((end - LANE_EVENTS + LEEWAY_EVENTS) | 0);
      else if (ahead <= 0) return false;
      else if (this.#copied === this.#next) return true;
      else {
        // Events are written in order: one that is not there when a later one is due never will be.
        const isLost = this.isOver || ((this.head - this.#next) | 0) > 1;
        if (!this.#copy()) this.#skipTo((this.#next + LEEWAY_EVENTS) | 0);
        else if (this.move !== 0) return true;
        else if (isLost) this.#skipTo((this.#next + 1) | 0);
        else return false;
      }
    }
  }

  advance(): void {
    this.#next = (this.#next + 1) | 0;
  }

  /** Takes `advance` back. */
  retreat(): void {
    this.#next = (this.#next - 1) | 0;
  }

  /** Leaves out what is before event `number`; returns how many those were. */
  dropTo(number: number): number {
    const dropped = Math.max(0, (number - this.#next) | 0);
    this.#next = (this.#next + dropped) | 0;
    return dropped;
  }

  #skipTo(number: number, lost = (number - this.#next) | 0): void {
    this.#lost += Math.max(1, lost);
    this.#next = number;
  }

  /** False when the event was written again meanwhile: its place is written before the count says so. */
  #copy(): boolean {
    const { words } = this.#ring;
    const at = eventIndex(this.#lane, this.#next);
    for (let i = 0; i < EVENT_WORDS; i++) this.words[i] = words[at + i] as number;
    const isWhole = ((this.head - this.#next) | 0) < LANE_EVENTS;
    this.#copied = isWhole && this.move !== 0 ? this.#next : undefined;
    return isWhole;
  }
}
