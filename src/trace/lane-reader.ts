/**
 * LaneReader: reads the entries of one lane of a TraceRing, in order. (A lane is the part of a
 * slot's trace that one side writes. Each entry is one move, a change of the slot's state. Entries
 * have consecutive numbers, int32 that wrap.)
 *
 * Called by: RingReader, in the thread that dispatches requests.
 *
 * Numbers wrap, so they are compared by their distance as an int32: `(a - b) | 0` is positive if
 * `a` comes after `b`.
 *
 * No writer waits for a reader. A reader that is slower than the VM is overtaken: its next entry is
 * overwritten. It detects that from the lane's count, goes on with a later entry, and counts the
 * entries that it lost.
 */

import { IoRequestState } from '../io-request/state.js';
import { LaneView, READABLE_ENTRIES } from './lane.js';
import { ENTRY_WORDS, EntryWord, LANE_ENTRIES, movedFrom, movedTo, MoveBits, type TraceRing } from './trace-ring.js';

/**
 * An overtaken reader skips this many entries more than it has to, so that it is not overtaken
 * again at once.
 */
const LEEWAY_ENTRIES = LANE_ENTRIES / 4;

export class LaneReader {
  readonly #view: LaneView;
  /** The words (`EntryWord`) of the entry that `hasNext` found. */
  readonly words = new Int32Array(ENTRY_WORDS);
  /** Set when no thread writes to the lane any more: an entry that is due will never be written. */
  isOver = false;
  #next: number;
  /** Number of the entry that `words` has. Undefined if it has none. */
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

  /**
   * The number after that of the last entry that was published or is due. An entry is due while its
   * move is made and the entry is still to be written.
   */
  get end(): number {
    return this.#view.begun;
  }

  /** How many entries were not read yet. Any number if the lane holds garbage. */
  get unread(): number {
    return (this.end - this.#next) >>> 0;
  }

  /** The move word of the entry in `words`. */
  get move(): number {
    return this.words[EntryWord.move] as number;
  }

  /** The state that the move starts from. */
  get from(): number {
    return movedFrom(this.move);
  }

  /**
   * Number of the request's PENDING entry in the hypervisor's lane. Undefined if neither the entry
   * in `words` nor, for one of PROCESSING, the COMPLETE entry after it has that number.
   */
  get link(): number | undefined {
    if ((this.move & MoveBits.HAS_LINK) !== 0) return this.words[EntryWord.link];
    if (movedTo(this.move) !== IoRequestState.PROCESSING) return undefined;
    const answer = (this.#next + 1) | 0;
    const move = this.#view.move(answer);
    const isAnswer = movedFrom(move) === IoRequestState.PROCESSING && (move & MoveBits.HAS_LINK) !== 0;
    return isAnswer ? this.#view.link(answer) : undefined;
  }

  /**
   * The time in ms of the entry that is `ahead` entries after the next one. 0: it has no time, or
   * its time is not written yet.
   */
  time(ahead = 0): number {
    return this.#view.timeMs((this.#next + ahead) | 0);
  }

  /** Returns how many entries were lost since the last call. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Whether the next entry has a number below `end` and is still to be written. */
  isDue(end: number): boolean {
    return !this.hasNext(end) && ((end - this.#next) | 0) > 0;
  }

  /**
   * Whether the next entry can be read and has a number below `end`. Then `words` has it. Skips
   * entries that are lost.
   */
  hasNext(end: number): boolean {
    for (;;) {
      const ahead = (end - this.#next) | 0;
      // If the reader is ahead of the writer, the lane holds garbage: start again at its end, and
      // count one as lost, for the caller to synchronize. If it is ahead of `end` alone, it has
      // just skipped.
      if (ahead < 0 && ((this.end - this.#next) | 0) < 0) this.#skipTo(this.end, 1);
      else if (ahead > READABLE_ENTRIES) this.#skipTo((end - READABLE_ENTRIES + LEEWAY_ENTRIES) | 0);
      else if (ahead <= 0) return false;
      // Copied by an earlier call. A copy without its time is made again.
      else if (this.#copied === this.#next && (this.move & MoveBits.TIME_DUE) === 0) return true;
      else {
        // Load `published` only once: the entry may be published between two loads.
        // Readable for 1 ≤ age ≤ READABLE_ENTRIES. Above, it is overwritten. Below, it is due.
        const age = (this.#view.published - this.#next) | 0;
        // Overtaken since the caller read `end`: the entry to go on with may still be before it.
        if (age > READABLE_ENTRIES) this.#skipTo((this.#next + LEEWAY_ENTRIES) | 0);
        else if (age > 0) {
          if (this.#copy()) return true;
          this.#skipTo((this.#next + 1) | 0);
        } else if (this.isOver) this.#skipTo((this.#next + 1) | 0);
        else return false;
      }
    }
  }

  /** Goes on to the entry after the next one. */
  advance(): void {
    this.#next = (this.#next + 1) | 0;
  }

  /** Reverts `advance`. */
  retreat(): void {
    this.#next = (this.#next - 1) | 0;
  }

  /**
   * Skips the entries with numbers below `number`, which are not counted as lost. Returns how many.
   */
  dropTo(number: number): number {
    const dropped = Math.max(0, (number - this.#next) | 0);
    this.#next = (this.#next + dropped) | 0;
    return dropped;
  }

  /** Skips to entry `number` and counts the skipped entries as lost. */
  #skipTo(number: number, lost = (number - this.#next) | 0): void {
    this.#lost += lost;
    this.#next = number;
  }

  /** Copies the next entry to `words`. Returns false if it was never written. */
  #copy(): boolean {
    this.#copied = this.#next;
    return this.#view.copy(this.#next, this.words);
  }
}
