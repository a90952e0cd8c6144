/**
 * RingReader: merges the two lanes of each slot (the hypervisor's entries and the Service VM's, see
 * trace-ring.ts) into one sequence of entries, in the order of the slot's moves.
 *
 * Called by: VmTrace and MoveSampler.
 * Callers must: run in the dispatching thread, whose own lane is always up to date for it.
 *
 * When an entry is in the Service VM's lane, each earlier move of the hypervisor has its entry in
 * the hypervisor's lane, or that entry is due: begun and still to be written. An entry of the
 * Service VM may have a link, the number of the PENDING entry that it follows. Without a link it
 * follows the next PENDING entry.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { LaneReader } from './lane-reader.js';
import {
  ENTRY_WORDS,
  hypervisorLane,
  LANE_ENTRIES,
  movedTo,
  MoveBits,
  serviceLane,
  type TraceRing,
} from './trace-ring.js';

const { FREE, PENDING } = IoRequestState;
/** Not a state: the slot's state is unknown until its next entry. */
const UNKNOWN = -1;

/**
 * One entry. The reader reuses the object and its words for the next one: copy what outlives the
 * callback.
 */
export interface RingEntry {
  readonly vcpu: number;
  /** How many entries of the slot the reader has passed on before, as an int32 that wraps. */
  readonly number: number;
  /**
   * In ms since the ring's origin. If `isTimed` is false: that of the slot's previous entry, a
   * lower bound.
   */
  readonly timeMs: number;
  readonly isTimed: boolean;
  /** The entry's words, indexed by `EntryWord`. */
  readonly words: Int32Array;
}

/** The entries that one call of `read` takes: those that existed when it began. */
interface Window {
  /** The number after that of the last entry, in the hypervisor's lane and in the Service VM's. */
  readonly end: number;
  readonly serviceEnd: number;
  /**
   * Everything ordered before the Service VM's entry `settled` has a number below `end` in the
   * hypervisor's lane.
   */
  readonly settled: number;
  /** Whether no thread writes any more. */
  readonly isLast: boolean;
}

/** What is known of one slot between two calls. */
interface SlotReader {
  readonly vcpu: number;
  readonly hypervisor: LaneReader;
  readonly service: LaneReader;
  /** The state that the entries passed on so far lead to. */
  state: number;
  /** The time of the last entry that was passed on. */
  lastMs: number;
  /** How many entries were passed on. */
  given: number;
  /** Whether entries were lost. How the lanes interleave is then unknown until the next link. */
  needsLink: boolean;
}

export class RingReader {
  readonly #slots: readonly SlotReader[];
  readonly #entry: { -readonly [Key in keyof RingEntry]: RingEntry[Key] };

  /** Reads the entries that are begun from now on. */
  constructor(ring: TraceRing) {
    this.#slots = Array.from({ length: SLOT_COUNT }, (_, vcpu) => ({
      vcpu,
      hypervisor: new LaneReader(ring, hypervisorLane(vcpu)),
      service: new LaneReader(ring, serviceLane(vcpu)),
      state: UNKNOWN,
      lastMs: 0,
      given: 0,
      needsLink: false,
    }));
    this.#entry = { vcpu: 0, number: 0, timeMs: 0, isTimed: false, words: new Int32Array(ENTRY_WORDS) };
  }

  /** How many entries of slot `vcpu` were not read yet. */
  unread(vcpu: number): number {
    const { hypervisor, service } = this.#slots[vcpu] as SlotReader;
    return hypervisor.unread + service.unread;
  }

  /**
   * Passes at most `most` new entries of slot `vcpu` to `take`, in order, each with the number of
   * entries lost before it. Returns how many were lost after the last one. If the last entry has no
   * time yet, it is left for the next call, except with `isLast`: then no call follows, because no
   * thread writes any more. `most` is for callers that may be slower than the writers.
   */
  read(vcpu: number, take: (entry: RingEntry, lost: number) => void, isLast = false, most = Infinity): number {
    const slot = this.#slots[vcpu] as SlotReader;
    const { hypervisor, service } = slot;
    // The Service VM's end is read before and after the hypervisor's: see `settled`.
    const settled = service.end;
    const end = hypervisor.end;
    const serviceEnd = service.end;
    hypervisor.isOver = service.isOver = isLast;
    const window = { end, serviceEnd, settled: isLast ? serviceEnd : settled, isLast };
    let lost = 0;
    for (let taken = 0; taken < most; taken++) {
      lost += this.#catchUp(slot, window);
      const lane = this.#first(slot, window, window.settled);
      if (lane === undefined || !this.#takeEntry(slot, lane, window)) return lost;
      take(this.#entry, lost);
      lost = 0;
    }
    return lost;
  }

  /**
   * Skips all new entries of slot `vcpu` except about the last `most`. Returns how many it skipped.
   */
  skip(vcpu: number, most: number): number {
    const slot = this.#slots[vcpu] as SlotReader;
    const { hypervisor, service } = slot;
    const half = most >> 1;
    const left = hypervisor.dropTo((hypervisor.end - half) | 0) + service.dropTo((service.end - half) | 0);
    if (left > 0) slot.needsLink = true;
    return left;
  }

  /**
   * The lane whose next entry comes first. Undefined: no entry is left, or the entry that comes
   * first is not published yet.
   */
  #first(slot: SlotReader, { end, serviceEnd }: Window, settled: number): LaneReader | undefined {
    const { hypervisor, service, state } = slot;
    const hasOne = hypervisor.hasNext(end);
    if (!service.hasNext(serviceEnd)) return hasOne ? hypervisor : undefined;
    const { link, from } = service;
    const ahead = link === undefined ? undefined : (link - hypervisor.next) | 0;
    if (ahead === undefined || ahead < 0) {
      // Except in a reset, only the Service VM moves a slot that is PROCESSING.
      if (from !== PENDING) return service;
      const isWithdrawn = hasOne && hypervisor.from === PENDING && movedTo(hypervisor.move) === FREE;
      // A link may be too low: SlotRecorder counts it, and a withdrawn request has entries that it
      // did not count. The states decide then.
      if (state === PENDING && !isWithdrawn) return service;
      if (state === UNKNOWN && (ahead === -1 ? !isWithdrawn : !hasOne && !hypervisor.isDue(end))) return service;
    } else if (ahead >= LANE_ENTRIES) return service;
    if (hasOne) return hypervisor;
    return !hypervisor.isDue(end) && ((settled - service.next) | 0) > 0 ? service : undefined;
  }

  /** Moves the next entry of `lane` to `#entry`. Returns false if its time is not written yet. */
  #takeEntry(slot: SlotReader, lane: LaneReader, window: Window): boolean {
    const entry = this.#entry;
    const { move, words } = lane;
    const isTimed = (move & MoveBits.IS_TIMED) !== 0;
    const own = isTimed ? lane.time() : 0;
    entry.words.set(words);
    lane.advance();
    const next = this.#first(slot, window, window.serviceEnd);
    if (isTimed && own === 0 && next === undefined && !window.isLast) {
      lane.retreat();
      return false;
    }
    // The clock is read after the move. So the time may not be written yet, or it may be later than
    // that of the next move, which is then the better value. In a lane, an entry without a time is
    // followed by one with a time.
    const bound = next === undefined ? 0 : next.time() || next.time(1);
    const time = own === 0 || (bound !== 0 && bound < own) ? (isTimed ? bound : 0) : own;
    slot.lastMs = Math.max(slot.lastMs, time, Number.MIN_VALUE);
    entry.vcpu = slot.vcpu;
    entry.number = slot.given;
    entry.timeMs = slot.lastMs;
    entry.isTimed = isTimed;
    slot.given = (slot.given + 1) | 0;
    if ((move & MoveBits.REFUSED) === 0) slot.state = movedTo(move);
    return true;
  }

  /**
   * Returns how many entries were lost because they were overwritten. If any were, also drops all
   * entries before the next one with a link, and counts them.
   */
  #catchUp(slot: SlotReader, { end, serviceEnd }: Window): number {
    const { hypervisor, service } = slot;
    hypervisor.hasNext(end);
    service.hasNext(serviceEnd);
    let lost = hypervisor.takeLost() + service.takeLost();
    if (lost > 0) slot.needsLink = true;
    if (!slot.needsLink) return 0;
    for (; service.hasNext(serviceEnd); service.advance(), lost++) {
      const { link, from } = service;
      if (from !== PENDING || link === undefined || ((link - hypervisor.next) | 0) < 0 || ((end - link) | 0) <= 0)
        continue;
      slot.needsLink = false;
      slot.state = UNKNOWN;
      return lost + hypervisor.dropTo(link);
    }
    return lost;
  }
}
