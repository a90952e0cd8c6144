/**
 * RingReader: merges the two lanes of each slot (the hypervisor's entries and the Service VM's, see
 * trace-ring.ts) into one sequence of entries, in the order of the slot's moves (changes of state).
 *
 * Called by: VmTrace and MoveSampler.
 * Callers must: run in the dispatching thread, whose own lane is always up to date for it.
 *
 * When an entry is in the Service VM's lane, each earlier move of the hypervisor has its entry in
 * the hypervisor's lane, or that entry is due: begun and still to be written. An entry of the
 * Service VM may have a link, the number of the PENDING entry that it follows. Without a link it
 * follows the next PENDING entry.
 *
 * Three requests, of which a reset withdrew the second before the Service VM took it. Numbers are
 * those of the lanes, and time goes to the right:
 *
 *     hypervisor  0 PENDING            1 FREE  2 PENDING  3 FREE  4 PENDING            5 FREE
 *     Service VM       0 PROCESSING                                    2 PROCESSING
 *                            1 COMPLETE                                      3 COMPLETE
 *
 * The Service VM's PROCESSING 2 follows PENDING 4. With the link 4, the hypervisor's entries up to
 * 4 come first. Without a link the states decide. PROCESSING 2 starts from PENDING, and so the slot
 * is after PENDING 2. But FREE 3 starts from PENDING, too, which only a withdrawal does: it comes
 * first. Then the slot is FREE, so PENDING 4 comes first. Then the hypervisor's next entry, FREE 5,
 * starts from COMPLETE, so PROCESSING 2 comes first.
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
    // An entry with a link was written by this thread, after it had acquired the count of the entry
    // that it follows. So the linked entry has a number below `end`, whatever others write now.
    const window = { end: hypervisor.end, serviceEnd: service.end, isLast };
    hypervisor.isOver = service.isOver = isLast;
    let lost = 0;
    for (let taken = 0; taken < most; taken++) {
      lost += this.#catchUp(slot, window);
      const lane = this.#first(slot, window);
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
   * The lane whose next entry comes first (an example is at the top of this file). Undefined: no
   * entry is left, or the entry that comes first is not published yet.
   */
  #first(slot: SlotReader, { end, serviceEnd }: Window): LaneReader | undefined {
    const { hypervisor, service, state } = slot;
    const hasHypervisor = hypervisor.hasNext(end);
    if (!service.hasNext(serviceEnd)) return hasHypervisor ? hypervisor : undefined;
    const { link, from } = service;
    // From the hypervisor's next entry to the linked one. Negative: the linked one was passed on.
    const toLink = link === undefined ? undefined : (link - hypervisor.next) | 0;
    if (toLink === undefined || toLink < 0) {
      // Except in a reset, only the Service VM moves a slot that is PROCESSING.
      if (from !== PENDING) return service;
      const isWithdrawn = hasHypervisor && hypervisor.from === PENDING && movedTo(hypervisor.move) === FREE;
      // A link may be too low: SlotRecorder counts it, and a withdrawn request has entries that it
      // did not count. The states decide then.
      if (state === PENDING && !isWithdrawn) return service;
      // After a loss or at the start. The linked entry may be right before the hypervisor's next
      // one. Otherwise the Service VM's entry comes first only if the hypervisor has none.
      if (state === UNKNOWN && (toLink === -1 ? !isWithdrawn : !hasHypervisor && !hypervisor.isDue(end)))
        return service;
    } else if (toLink >= LANE_ENTRIES) return service; // A lane is shorter: the link is garbage.
    if (hasHypervisor) return hypervisor;
    // All of the hypervisor's entries were passed on, and no more can precede this one.
    return hypervisor.isDue(end) ? undefined : service;
  }

  /** Moves the next entry of `lane` to `#entry`. Returns false if its time is not written yet. */
  #takeEntry(slot: SlotReader, lane: LaneReader, window: Window): boolean {
    const entry = this.#entry;
    const { move, words } = lane;
    const isTimed = (move & MoveBits.IS_TIMED) !== 0;
    const ownMs = lane.time();
    entry.words.set(words);
    // Advance to see the entry that follows in the slot.
    lane.advance();
    const next = this.#first(slot, window);
    if (isTimed && ownMs === 0 && next === undefined && !window.isLast) {
      lane.retreat();
      return false;
    }
    // The clock is read after the move. So the time may not be written yet, or it may be later than
    // that of the next move, which is then the better value. In a lane, an entry without a time is
    // followed by one with a time.
    const nextMs = next === undefined ? 0 : next.time() || next.time(1);
    const isNextBetter = ownMs === 0 || (nextMs !== 0 && nextMs < ownMs);
    const timeMs = isNextBetter ? (isTimed ? nextMs : 0) : ownMs;
    // Never 0, which stands for "no time".
    slot.lastMs = Math.max(slot.lastMs, timeMs, Number.MIN_VALUE);
    entry.vcpu = slot.vcpu;
    entry.number = slot.given;
    entry.timeMs = slot.lastMs;
    entry.isTimed = isTimed;
    slot.given = (slot.given + 1) | 0;
    if ((move & MoveBits.REFUSED) === 0) slot.state = movedTo(move);
    return true;
  }

  /**
   * Returns how many entries were lost because they were overwritten. If any were, how the lanes
   * interleave is unknown. The next PENDING → PROCESSING entry whose link is in the hypervisor's
   * lane shows it again. So this drops all entries before that one, and those of the hypervisor
   * before the linked one, and counts them as lost. If there is no such entry yet, the next call
   * goes on.
   */
  #catchUp(slot: SlotReader, { end, serviceEnd }: Window): number {
    const { hypervisor, service } = slot;
    // hasNext skips what was overwritten, and takeLost returns how much that was.
    hypervisor.hasNext(end);
    service.hasNext(serviceEnd);
    let lost = hypervisor.takeLost() + service.takeLost();
    if (lost > 0) slot.needsLink = true;
    if (!slot.needsLink) return 0;
    for (; service.hasNext(serviceEnd); service.advance(), lost++) {
      const { link, from } = service;
      if (from !== PENDING || link === undefined) continue;
      const isInLane = ((link - hypervisor.next) | 0) >= 0 && ((end - link) | 0) > 0;
      if (!isInLane) continue;
      slot.needsLink = false;
      slot.state = UNKNOWN;
      return lost + hypervisor.dropTo(link);
    }
    return lost;
  }
}
