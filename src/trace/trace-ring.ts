/**
 * TraceRing: the shared memory in which a VM's moves (changes of a slot's state, move.ts) are
 * recorded. It is one SharedArrayBuffer, which each thread that moves slots receives. A move is one
 * entry of a few words. Each slot has two lanes, which are ring buffers of entries: one for the
 * moves of the hypervisor (to PENDING and FREE), one for those of the Service VM (to PROCESSING and
 * COMPLETE).
 *
 * Called by: lane.ts reads and writes the entries, VmTrace switches the ring on and off.
 * Threads: any. Only the thread that dispatches requests sets `isOn`.
 *
 * Why two lanes: a cache line that both sides write moves between two processors at every request,
 * which costs more than writing the entries (docs/decisions/0010). Each lane is in order.
 * RingReader merges the two. Entries of a lane have numbers: int32, from 0, which wrap.
 *
 * Ordering: this file has the layout and the on/off word. That word is relaxed: a thread sees a
 * change at one of its next moves, and nothing else depends on it. The origin is written before the
 * buffer is given to another thread. The argument for the entries is in lane.ts, the only file that
 * reads or writes them.
 *
 * Memory that no entry was written to stays unallocated. The two lanes of one vCPU take 64 KiB once
 * they are full.
 */

import { SLOT_COUNT } from '../io-request/layout.js';

/** Entries of one lane. A request takes two in each. A power of two. */
export const LANE_ENTRIES = 1024;
/** Words of one entry: half a cache line. */
export const ENTRY_WORDS = 8;

/**
 * The words of an entry, by index. They are few and packed: a vCPU may wait while they are stored.
 * A comment "With FLAG" means that the word has a meaning only if the move word has that flag.
 */
export const EntryWord = {
  /** With `HAS_LINK`: number of the request's PENDING entry in the hypervisor's lane. */
  link: 0,
  /** States, type, size and flags: see `MoveBits`. 0: not written. */
  move: 1,
  /**
   * With `HAS_REQUEST`. For PCI requests: bus, device and function, a byte each from bit 16 down.
   */
  addressLow: 2,
  /** For PCI requests: the register. */
  addressHigh: 3,
  /** With `HAS_REQUEST` or `HAS_VALUE`. */
  valueLow: 4,
  /**
   * The high word. Not in entries of PROCESSING: a request that is stored there is a 32-bit PCI
   * one.
   */
  valueHigh: 5,
  /** In entries of PROCESSING: the number of the request's client (VmTrace). 0: unknown. */
  client: 5,
  /** With `IS_TIMED`: a Float64, in ms since the ring's origin. 0: not timed yet. */
  time: 6,
} as const;

/**
 * Fields of the move word. Values that do not fit (the page may hold any number) saturate to all
 * ones.
 */
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
  /** The slot was not in the state that the move starts from. Its state did not change. */
  REFUSED: 1 << 25,
  /** The entry has the request. Without it the request is that of the slot's entry before. */
  HAS_REQUEST: 1 << 26,
  /** The entry has the value of a request that an earlier entry has. */
  HAS_VALUE: 1 << 27,
  /** The HSM finished the request on behalf of its client. */
  FORCED: 1 << 28,
  /** The entry has a time of its own. */
  IS_TIMED: 1 << 29,
  HAS_LINK: 1 << 30,
  /**
   * With `IS_TIMED`: the time is still to be written. Only in COMPLETE entries of a client's
   * thread.
   */
  TIME_DUE: 1 << 31,
} as const;

/**
 * Words between two lanes' headers: two cache lines, because processors prefetch the second with
 * the first. A header is the words of `publishedIndex` and `begunIndex`.
 */
export const APART_WORDS = 32;
/**
 * Index of the on/off word: 0 while the ring is off, otherwise how many times it was switched on.
 * Slots load this word at each move (`SlotObserver.enabled`).
 */
const IS_ON = 0;
/** Index of the word that counts how many times the ring was switched on. */
const TIMES_ON = 1;
/** Index of a Float64: `performance.timeOrigin` of the thread that created the ring. */
const ORIGIN = 2;
const LANES = 2 * SLOT_COUNT;
const FIRST_HEADER = APART_WORDS;
const FIRST_ENTRY = FIRST_HEADER + LANES * APART_WORDS;
const WORDS = FIRST_ENTRY + LANES * LANE_ENTRIES * ENTRY_WORDS;

export class TraceRing {
  readonly buffer: SharedArrayBuffer;
  /** All words of the ring, indexed by `entryIndex` and the indices of a lane's header. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** The same memory, for the times: index n is word 2 n. */
  readonly times: Float64Array<SharedArrayBuffer>;

  /** A new ring, switched off, or a view of one that another thread created. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(WORDS * 4);
    this.words = new Int32Array(this.buffer);
    this.times = new Float64Array(this.buffer);
    if (buffer === undefined) this.times[ORIGIN >> 1] = performance.timeOrigin;
  }

  /** Relaxed: threads see a change at one of their next moves. */
  get isOn(): boolean {
    return this.words[IS_ON] !== 0;
  }

  set isOn(on: boolean) {
    if (on === this.isOn) return;
    if (on) this.words[TIMES_ON] = Math.max(1, ((this.words[TIMES_ON] as number) + 1) | 0);
    this.words[IS_ON] = on ? (this.words[TIMES_ON] as number) : 0;
  }

  /** Unix time in ms that the ring's times count from. */
  get originMs(): number {
    return this.times[ORIGIN >> 1] as number;
  }

  /**
   * What to add to this thread's `performance.now()` to get the ring's time. Each thread's clock
   * starts at its own `performance.timeOrigin`.
   */
  get clockOffsetMs(): number {
    return performance.timeOrigin - this.originMs;
  }
}

/** Index of the lane for the hypervisor's moves of slot `vcpu`: those to PENDING and FREE. */
export function hypervisorLane(vcpu: number): number {
  return 2 * vcpu;
}

/** Index of the lane for the Service VM's moves of slot `vcpu`: to PROCESSING and COMPLETE. */
export function serviceLane(vcpu: number): number {
  return 2 * vcpu + 1;
}

/** Index of the word that counts a lane's published entries. */
export function publishedIndex(lane: number): number {
  return FIRST_HEADER + lane * APART_WORDS;
}

/**
 * Index of the word that counts a hypervisor lane's entries, including one that is still to be
 * written.
 */
export function begunIndex(lane: number): number {
  return publishedIndex(lane) + 1;
}

/** Index of the first word of entry `number` of a lane. */
export function entryIndex(lane: number, number: number): number {
  return FIRST_ENTRY + (lane * LANE_ENTRIES + (number & (LANE_ENTRIES - 1))) * ENTRY_WORDS;
}

/**
 * The state that a move word starts from: `IoRequestState`, or 0xf for a number that is no state.
 */
export function movedFrom(move: number): number {
  return (move >> MoveBits.FROM_SHIFT) & MoveBits.STATE_MASK;
}

/** The state that a move word leads to. */
export function movedTo(move: number): number {
  return (move >> MoveBits.TO_SHIFT) & MoveBits.STATE_MASK;
}
