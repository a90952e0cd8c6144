/**
 * LaneReader: takes the entries out of one lane of a TraceRing, in order.
 *
 * Called by: RingReader, in the thread that dispatches requests.
 *
 * No writer waits for a reader. One that is slower than the VM is overtaken, detects that from the
 * lane's count, and counts the entries that it lost.
 */

import { IoRequestState } from '../io-request/state.js';
import { LaneView, READABLE_ENTRIES } from './lane.js';
import { ENTRY_WORDS, EntryWord, LANE_ENTRIES, movedFrom, movedTo, MoveBits, type TraceRing } from './trace-ring.js';

/**
 * An overtaken reader goes on this far behind the end of the lane, so that it is not overtaken
 * again at once.
 */
const LEEWAY_ENTRIES = LANE_ENTRIES / 4;

export class LaneReader {
  readonly #view: LaneView;
  /** The words (`EntryWord`) of the entry that `hasNext` found. */
  readonly words = new Int32Array(ENTRY_WORDS);
  /** No thread writes to the lane any more: an entry that is due will never be written. */
  isOver = false;
  #next: number;
  #copied: number | undefined;
  #lost = 0;

  /** Starts with the next entry that is begun. */
  constructor(ring: TraceRing, lane: number) {
    this.#view = new LaneView(ring, lane);
    this.#next = this.#view.begun;
  }

  /** Number of the next entry, an int32 that wraps. */
  get next(): number {
    return this.#next;
  }

  /** Number behind the last entry that was published or is due. */
  get end(): number {
    return this.#view.begun;
  }

  /** Entries that were not read. In a lane that holds garbage, any number. */
  get unread(): number {
    return (this.end - this.#next) >>> 0;
  }

  get move(): number {
    return this.words[EntryWord.move] as number;
  }

  get from(): number {
    return movedFrom(this.move);
  }

  /**
   * Number of the request's PENDING entry in the hypervisor's lane, if this entry or the answer
   * after it has the link.
   */
  get link(): number | undefined {
    if ((this.move & MoveBits.HAS_LINK) !== 0) return this.words[EntryWord.link];
    if (movedTo(this.move) !== IoRequestState.PROCESSING) return undefined;
    const answer = (this.#next + 1) | 0;
    const move = this.#view.move(answer);
    const isAnswer = movedFrom(move) === IoRequestState.PROCESSING && (move & MoveBits.HAS_LINK) !== 0;
    return isAnswer ? this.#view.link(answer) : undefined;
  }

  /** Time in ms of the next entry, or of the one `behind` it. 0: it has none, or not yet. */
  time(behind = 0): number {
    return this.#view.timeMs((this.#next + behind) | 0);
  }

  /** Entries that were lost since the last call. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Whether the next entry, of those before number `end`, is still to be written. */
  isDue(end: number): boolean {
    return !this.hasNext(end) && ((end - this.#next) | 0) > 0;
  }

  /** Whether there is an entry before number `end`. Then `words` has it. */
  hasNext(end: number): boolean {
    for (;;) {
      const ahead = (end - this.#next) | 0;
      // Ahead of the writer: the lane holds garbage. Ahead of `end` alone: this call follows a
      // skip.
      if (ahead < 0 && ((this.end - this.#next) | 0) < 0) this.#skipTo(this.end, 1);
      else if (ahead > READABLE_ENTRIES) this.#skipTo((end - READABLE_ENTRIES + LEEWAY_ENTRIES) | 0);
      else if (ahead <= 0) return false;
      else if (this.#copied === this.#next && (this.move & MoveBits.TIME_DUE) === 0) return true;
      else {
        // Loaded once: the entry may be published between two loads.
        const age = (this.#view.published - this.#next) | 0;
        if (age > READABLE_ENTRIES) this.#skipTo((this.#next + LEEWAY_ENTRIES) | 0);
        else if (age > 0) {
          if (this.#copy()) return true;
          this.#skipTo((this.#next + 1) | 0);
        } else if (this.isOver) this.#skipTo((this.#next + 1) | 0);
        else return false;
      }
    }
  }

  advance(): void {
    this.#next = (this.#next + 1) | 0;
  }

  /** Reverts `advance`. */
  retreat(): void {
    this.#next = (this.#next - 1) | 0;
  }

  /** Skips the entries before number `number`. Returns how many those were. */
  dropTo(number: number): number {
    const dropped = Math.max(0, (number - this.#next) | 0);
    this.#next = (this.#next + dropped) | 0;
    return dropped;
  }

  #skipTo(number: number, lost = (number - this.#next) | 0): void {
    this.#lost += Math.max(1, lost);
    this.#next = number;
  }

  /** Returns false if the entry was never written. */
  #copy(): boolean {
    const isWritten = this.#view.copy(this.#next, this.words);
    this.#copied = isWritten ? this.#next : undefined;
    return isWritten;
  }
}
