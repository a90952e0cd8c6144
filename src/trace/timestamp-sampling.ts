/**
 * TimestampSampling: chooses the requests of a slot for which all four moves (to PENDING,
 * PROCESSING, COMPLETE, FREE) are recorded with a time.
 *
 * Called by: SlotRecorder, which has one for the moves of each side: hypervisor and Service VM.
 *
 * Reading the clock takes longer than the rest of the trace. So every request is timed in full,
 * except in a burst, where requests come less than BURST_MS apart: there one in TIMED_EVERY is.
 *
 * The sides do not communicate. Within a burst both choose the same requests, because the choice
 * follows from the number of the request's PENDING entry. Each decides by times of its own whether
 * there is a burst, so at its beginning and end only one of them may time a request in full. The
 * Service VM's side does not see requests that a client completes in its own thread.
 */

/** Requests of a slot closer to each other than this, in ms, are a burst (docs/decisions/0010). */
export const BURST_MS = 0.005;
/**
 * In a burst, one request in this many has all times. A power of two. A fully timed request costs
 * as much as two others, because the clock is also read after PROCESSING and FREE, where that
 * delays the guest.
 */
export const TIMED_EVERY = 256;
/** The same for the first requests of a slot, which are timed more often for short runs. */
export const TIMED_EVERY_AT_FIRST = 64;
/** How many requests of a slot count as its first ones. */
export const FIRST_REQUESTS = 4096;

export class TimestampSampling {
  readonly #burstMs: number;
  /** The last `observe`, in ms. In a typed array, so that storing it does not allocate. */
  readonly #last = new Float64Array(1);
  #isBurst = false;
  /** Whether all moves of the current request get a time. */
  isFull = true;

  constructor(burstMs: number) {
    this.#burstMs = burstMs;
  }

  /**
   * Starts the request whose PENDING entry has number `pending` in the hypervisor's lane, where a
   * request has two entries. Returns `isFull`.
   */
  choose(pending: number): boolean {
    const request = pending >>> 1;
    const every = request < FIRST_REQUESTS ? TIMED_EVERY_AT_FIRST : TIMED_EVERY;
    return (this.isFull = !this.#isBurst || (request & (every - 1)) === 0);
  }

  /**
   * Passes the time of one of this side's moves, and decides whether the next request continues a
   * burst. Call it once for each request that this thread moves to PENDING (the hypervisor's side)
   * or COMPLETE (the Service VM's).
   */
  observe(nowMs: number): void {
    this.#isBurst = nowMs - (this.#last[0] as number) < this.#burstMs;
    this.#last[0] = nowMs;
  }

  /** Forgets the last request: the next one does not continue a burst. */
  reset(): void {
    this.#isBurst = false;
    this.#last[0] = -Infinity;
  }
}
