/**
 * TimeLimit: finds the requests of one VM that a client has had for too long. One timer, armed only
 * while a client has a request that it did not answer inside `notify`.
 *
 * Called by: VmRequests, in the Service VM's thread.
 *
 * A client that answers from the event loop can do so only when the loop turns. If the thread was
 * blocked (sync/timer-lateness.ts), every watched request gets a fresh period. After
 * MAX_FRESH_PERIODS of them it gets only the time for which the thread was blocked. A request whose
 * time is over is judged after one more turn of the loop, because its answer may be in a queue.
 */

import { BEAT_MS, heldMs, JUDGE_MS, MAX_FRESH_PERIODS, type Timing } from '../sync/timer-lateness.js';
import type { SlotAssignment } from './slot-assignment.js';
import type { HoldCause, ThreadHolder } from './thread-holder.js';

/** A request that its client keeps is reported again after this many times the elapsed time. */
const NEXT_REPORT_FACTOR = 2;

/** The Service VM's thread was blocked for `heldMs` during a request. */
export type Hold = HoldCause & { readonly heldMs: number };

export interface TimeLimitOptions {
  /** Infinity: no limit. */
  readonly limitMs: number;
  readonly assignments: readonly SlotAssignment[];
  readonly holder: ThreadHolder;
  /** Reports a late request. Returns whether the client keeps it. */
  readonly onLate: (assignment: SlotAssignment, elapsedMs: number) => boolean;
  /** A request would be late if the thread had not been blocked. It has more time now. */
  readonly onExtended: (assignment: SlotAssignment, elapsedMs: number, hold: Hold) => void;
  readonly timing: Timing;
}

export class TimeLimit {
  readonly #options: TimeLimitOptions;
  readonly #timing: Timing;
  #timer: unknown;
  /** When the timer was armed and when it is due, in ms, and the process's processor time then. */
  #armedMs = NaN;
  #dueMs = NaN;
  #armedProcessorMs = NaN;

  constructor(options: TimeLimitOptions) {
    this.#options = options;
    this.#timing = options.timing;
  }

  /**
   * Begins the limit of a request that was assigned just now. If the slot's request before is still
   * watched, that one is answered, and its watch ends here.
   */
  watch(assignment: SlotAssignment, ticket: number): void {
    const { limitMs, holder } = this.#options;
    if (limitMs === Infinity) return;
    const nowMs = this.#timing.now();
    assignment.watchedTicket = ticket;
    assignment.sinceMs = nowMs;
    assignment.deadlineMs = nowMs + limitMs;
    assignment.isExpired = false;
    assignment.freshPeriods = 0;
    if (this.#timer !== undefined) return;
    holder.limits++;
    this.#arm(limitMs, nowMs);
  }

  /** Stops the timer: no watch is left, or the VM ends. The next `watch` starts it again. */
  stop(): void {
    if (this.#timer === undefined) return;
    this.#timing.stop(this.#timer);
    this.#timer = undefined;
    this.#options.holder.limits--;
  }

  #arm(delayMs: number, nowMs: number): void {
    const beatMs = Math.min(delayMs, BEAT_MS);
    this.#armedMs = nowMs;
    this.#dueMs = nowMs + beatMs;
    this.#armedProcessorMs = this.#options.holder.processorMs;
    this.#timer = this.#timing.start(() => this.#check(), beatMs);
  }

  #check(): void {
    const { limitMs, assignments } = this.#options;
    const expired = this.#timer;
    const nowMs = this.#timing.now();
    const held = heldMs(this.#dueMs, nowMs, limitMs);
    const hold = held > 0 ? { ...this.#causeOf(nowMs), heldMs: held } : undefined;
    for (const assignment of assignments) this.#checkOne(assignment, nowMs, hold);
    // A report ended the VM, or stopped the timer and started it again.
    if (this.#timer !== expired) return;
    // After all of them: a report may have let the guest go on, which calls `watch`.
    let nextMs = Infinity;
    for (const assignment of assignments)
      if (assignment.watchedTicket !== 0)
        nextMs = Math.min(nextMs, assignment.isExpired ? JUDGE_MS : assignment.deadlineMs - nowMs);
    if (nextMs === Infinity) this.stop();
    // At least once in a period: `watch` does not arm a timer while one runs.
    else this.#arm(Math.min(nextMs, limitMs), nowMs);
  }

  #causeOf(nowMs: number): HoldCause {
    const { holder } = this.#options;
    return holder.causeOf(this.#armedMs, nowMs, holder.processorMs - this.#armedProcessorMs);
  }

  #checkOne(assignment: SlotAssignment, nowMs: number, hold: Hold | undefined): void {
    const ticket = assignment.watchedTicket;
    if (ticket === 0) return;
    if (!assignment.isOwed(ticket)) {
      assignment.watchedTicket = 0;
      return;
    }
    const elapsedMs = nowMs - assignment.sinceMs;
    if (hold !== undefined) this.#extend(assignment, nowMs, hold);
    if (nowMs < assignment.deadlineMs) return;
    if (!assignment.isExpired) {
      assignment.isExpired = true;
      return;
    }
    assignment.isExpired = false;
    if (this.#options.onLate(assignment, elapsedMs))
      assignment.deadlineMs = assignment.sinceMs + elapsedMs * NEXT_REPORT_FACTOR;
    // Keep the watch on a newer request: the report may have let the guest go on.
    else if (assignment.watchedTicket === ticket) assignment.watchedTicket = 0;
  }

  #extend(assignment: SlotAssignment, nowMs: number, hold: Hold): void {
    const { limitMs, onExtended } = this.#options;
    const wasDue = nowMs >= assignment.deadlineMs;
    if (assignment.freshPeriods < MAX_FRESH_PERIODS) {
      assignment.isExpired = false;
      assignment.freshPeriods++;
      assignment.deadlineMs = Math.max(assignment.deadlineMs, nowMs + limitMs);
    } else assignment.deadlineMs += hold.heldMs;
    if (wasDue && nowMs < assignment.deadlineMs) onExtended(assignment, nowMs - assignment.sinceMs, hold);
  }
}
