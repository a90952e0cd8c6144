/**
 * Lanes: how the entries of a TraceRing are written, published and read. (A lane is the part of a
 * slot's trace that one side writes, an entry is one move, a change of the slot's state.
 * trace-ring.ts has the layout.) All that is concurrent in the trace is here.
 *
 * Called by: SlotRecorder writes (HypervisorLane, ServiceLane). LaneReader, RequestStatistics and
 * VmTrace read (LaneView).
 * Callers must: read in the thread that dispatches requests, and use what they read before they
 * return to its event loop.
 * Threads: one at a time writes a lane. The hypervisor's lane: the slot's vCPU, or the thread that
 * resets the VM while no vCPU runs. The Service VM's lane: the dispatching thread (the one that
 * gives requests to clients), or the client's thread while the slot is PROCESSING.
 *
 * The hypervisor's lane while a request is made. Both counts are the number after an entry:
 *
 *     … PENDING  FREE  PENDING  FREE │ PENDING: due, its move word cleared │ not used yet
 *                                    published                             begun
 *
 * Ordering: for processors that reorder stores. "A before B" is ECMA-262's happens-before.
 *
 * 1. Writers. A lane's next writer starts after its last writer has stopped: the slot's state (a
 *    compare-and-exchange), a mailbox or a thread's end lies between them. So writers may read the
 *    lane's counts with plain loads.
 * 2. Publication. Plain stores fill an entry, then one `Atomics.store` makes it visible: of
 *    `published`, or for the time of a client's COMPLETE of the move word. A reader loads the same
 *    word atomically, and touches no entry from `published` on. So each store of an entry is before
 *    each load of it, and no entry is seen in part.
 * 3. The dispatching thread stores `published` plainly in its own lane: the reader is the same
 *    thread.
 * 4. `begun` counts an entry of PENDING from before the move on, with a plain store. The move to
 *    PENDING publishes it together with the cleared move word, and the dispatching thread acquires
 *    both when it takes the request. So a reader that has the PROCESSING entry knows that the
 *    PENDING one is due. An unordered reader may see `begun` late or early, which only changes how
 *    long it waits. An entry before `published` with a cleared move word was never written (its
 *    thread was terminated, and the next writer's count passed it) and counts as lost.
 * 5. Overwriting. While the reader runs, the dispatching thread serves no request. So a vCPU can
 *    finish one that was under way and start another: its due PENDING, FREE, PENDING. The
 *    OVERWRITTEN oldest entries of a lane are therefore never read.
 *
 * On x86 an `Atomics.store` takes about 7 ns. For PENDING and COMPLETE it is made while the other
 * side is at work. Pages that other programs write may make two threads believe that they own a
 * slot. Then the lanes hold garbage, within their bounds.
 */

import {
  begunIndex,
  ENTRY_WORDS,
  entryIndex,
  EntryWord,
  hypervisorLane,
  LANE_ENTRIES,
  MoveBits,
  publishedIndex,
  serviceLane,
  type TraceRing,
} from './trace-ring.js';

// Constants of this file: V8 does not fold those of another module.
const { link: LINK, move: MOVE, client: CLIENT, time: TIME } = EntryWord;
const { addressLow: ADDRESS_LOW, addressHigh: ADDRESS_HIGH, valueLow: VALUE_LOW, valueHigh: VALUE_HIGH } = EntryWord;
const WORDS = ENTRY_WORDS;
/** Of an entry's number: its place in the lane. */
const NUMBER_MASK = LANE_ENTRIES - 1;
const { HAS_LINK, IS_TIMED, TIME_DUE, REFUSED } = MoveBits;
/** The move word of an entry that is still to be written: no move goes from PENDING to PENDING. */
const NOT_WRITTEN = 0;
/** The oldest entries of a full lane, which are never read: three by 5, and one to spare. */
const OVERWRITTEN = 4;
/** A reader may read this many entries before `published`. */
export const READABLE_ENTRIES = LANE_ENTRIES - OVERWRITTEN;

/** Writes the entries of PENDING and FREE of one slot. */
export class HypervisorLane {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  // Indices in #words: the lane's counts, and its first entry.
  readonly #published: number;
  readonly #begun: number;
  readonly #first: number;

  constructor(ring: TraceRing, vcpu: number) {
    const lane = hypervisorLane(vcpu);
    this.#words = ring.words;
    this.#times = ring.times;
    this.#published = publishedIndex(lane);
    this.#begun = begunIndex(lane);
    this.#first = entryIndex(lane, 0);
  }

  /**
   * Number of the last entry that was begun. While the slot is PENDING or PROCESSING, it is the
   * entry of its move to PENDING.
   */
  get lastBegun(): number {
    return ((this.#words[this.#begun] as number) - 1) | 0;
  }

  /** Call before a move to PENDING: from here on readers know that its entry is due. */
  begin(): void {
    const words = this.#words;
    const number = words[this.#begun] as number;
    words[this.#first + (number & NUMBER_MASK) * WORDS + MOVE] = NOT_WRITTEN;
    words[this.#begun] = (number + 1) | 0;
  }

  /**
   * Call after the move to PENDING: writes the entry that was begun. `move`: the move word, with
   * IS_TIMED.
   */
  pending(
    move: number,
    addressLow: number,
    addressHigh: number,
    valueLow: number,
    valueHigh: number,
    timeMs: number,
  ): void {
    const words = this.#words;
    const end = words[this.#begun] as number;
    const at = this.#first + ((end - 1) & NUMBER_MASK) * WORDS;
    words[at + ADDRESS_LOW] = addressLow;
    words[at + ADDRESS_HIGH] = addressHigh;
    words[at + VALUE_LOW] = valueLow;
    words[at + VALUE_HIGH] = valueHigh;
    this.#times[(at + TIME) >> 1] = timeMs;
    words[at + MOVE] = move;
    Atomics.store(words, this.#published, end);
  }

  /** Call after a move to FREE. `timeMs` is written only if `move` has IS_TIMED. */
  free(move: number, timeMs: number): void {
    const words = this.#words;
    const number = words[this.#begun] as number;
    const at = this.#first + (number & NUMBER_MASK) * WORDS;
    if ((move & IS_TIMED) !== 0) this.#times[(at + TIME) >> 1] = timeMs;
    words[at + MOVE] = move;
    words[this.#begun] = (number + 1) | 0;
    Atomics.store(words, this.#published, (number + 1) | 0);
  }
}

/** Writes the entries of PROCESSING and COMPLETE of one slot. */
export class ServiceLane {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  readonly #published: number;
  readonly #first: number;
  /** Index of the entry that `completing` published. */
  #completing = 0;

  constructor(ring: TraceRing, vcpu: number) {
    const lane = serviceLane(vcpu);
    this.#words = ring.words;
    this.#times = ring.times;
    this.#published = publishedIndex(lane);
    this.#first = entryIndex(lane, 0);
  }

  /** Number of the next entry. */
  get next(): number {
    return this.#words[this.#published] as number;
  }

  /**
   * Call in the dispatching thread, before `processing` with HAS_REQUEST: stores the PCI request of
   * the next entry.
   */
  pciRequest(address: number, register: number, value: number): void {
    const words = this.#words;
    const at = this.#first + (this.next & NUMBER_MASK) * WORDS;
    words[at + ADDRESS_LOW] = address;
    words[at + ADDRESS_HIGH] = register;
    words[at + VALUE_LOW] = value;
  }

  /**
   * Call in the dispatching thread, after a move to PROCESSING. `link` and `timeMs` are written
   * only if `move` has HAS_LINK and IS_TIMED.
   */
  processing(move: number, link: number, client: number, timeMs: number): void {
    const words = this.#words;
    const number = words[this.#published] as number;
    const at = this.#first + (number & NUMBER_MASK) * WORDS;
    if ((move & HAS_LINK) !== 0) words[at + LINK] = link;
    words[at + CLIENT] = client;
    if ((move & IS_TIMED) !== 0) this.#times[(at + TIME) >> 1] = timeMs;
    words[at + MOVE] = move;
    words[this.#published] = (number + 1) | 0;
  }

  /**
   * Call in the dispatching thread, after a move to COMPLETE. `link` is written only with HAS_LINK.
   */
  complete(move: number, link: number, valueLow: number, valueHigh: number, timeMs: number): void {
    const words = this.#words;
    const number = words[this.#published] as number;
    const at = this.#first + (number & NUMBER_MASK) * WORDS;
    if ((move & HAS_LINK) !== 0) words[at + LINK] = link;
    words[at + VALUE_LOW] = valueLow;
    words[at + VALUE_HIGH] = valueHigh;
    this.#times[(at + TIME) >> 1] = timeMs;
    words[at + MOVE] = move;
    words[this.#published] = (number + 1) | 0;
  }

  /**
   * Call in a client's thread, before a move to COMPLETE: after the move the dispatching thread
   * owns the lane. `completed` adds the entry's time, and REFUSED if the move failed.
   */
  completing(move: number, valueLow: number, valueHigh: number): void {
    const words = this.#words;
    const number = words[this.#published] as number;
    const at = this.#first + (number & NUMBER_MASK) * WORDS;
    words[at + VALUE_LOW] = valueLow;
    words[at + VALUE_HIGH] = valueHigh;
    words[at + MOVE] = move | TIME_DUE;
    Atomics.store(words, this.#published, (number + 1) | 0);
    this.#completing = at;
  }

  /** Call in a client's thread, after the move. `hasMoved` is false if the move was refused. */
  completed(hasMoved: boolean, timeMs: number): void {
    const words = this.#words;
    const at = this.#completing;
    const move = (words[at + MOVE] as number) & ~TIME_DUE;
    this.#times[(at + TIME) >> 1] = timeMs;
    Atomics.store(words, at + MOVE, hasMoved ? move : move | REFUSED);
  }
}

/** Reads the entries of one lane. Call it in the dispatching thread. */
export class LaneView {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  readonly #published: number;
  readonly #begun: number;
  readonly #first: number;

  constructor(ring: TraceRing, lane: number) {
    // See `hypervisorLane`. Only that lane has a count of begun entries.
    const isHypervisor = lane % 2 === 0;
    this.#words = ring.words;
    this.#times = ring.times;
    this.#published = publishedIndex(lane);
    this.#begun = isHypervisor ? begunIndex(lane) : this.#published;
    this.#first = entryIndex(lane, 0);
  }

  /** How many entries were ever published, as an int32 that wraps: the number of the next entry. */
  get published(): number {
    return Atomics.load(this.#words, this.#published);
  }

  /** The same, with the entry of a move to PENDING that is due. */
  get begun(): number {
    return this.#words[this.#begun] as number;
  }

  /** Whether entry `number` may be read until the caller returns to the event loop. */
  has(number: number): boolean {
    const age = (this.published - number) | 0;
    return age > 0 && age <= READABLE_ENTRIES;
  }

  /**
   * Copies the words (`EntryWord`) of entry `number`, which must be readable. Returns false if it
   * was never written.
   */
  copy(number: number, to: Int32Array): boolean {
    const at = this.#at(number);
    for (let i = 0; i < WORDS; i++) to[i] = this.#words[at + i] as number;
    return to[MOVE] !== NOT_WRITTEN;
  }

  /** The move word of entry `number`, NOT_WRITTEN if it cannot be read. */
  move(number: number): number {
    return this.has(number) ? Atomics.load(this.#words, this.#at(number) + MOVE) : NOT_WRITTEN;
  }

  /** The link of entry `number`, which must be readable and have one. */
  link(number: number): number {
    return this.#words[this.#at(number) + LINK] as number;
  }

  /**
   * The time of entry `number` in ms since the ring's origin. 0: the entry is not readable or has
   * no time, or its time is not written yet.
   */
  timeMs(number: number): number {
    const move = this.move(number);
    if ((move & IS_TIMED) === 0 || (move & TIME_DUE) !== 0) return 0;
    const time = this.#times[(this.#at(number) + TIME) >> 1] as number;
    return time > 0 && time < Infinity ? time : 0;
  }

  #at(number: number): number {
    return this.#first + (number & NUMBER_MASK) * WORDS;
  }
}
