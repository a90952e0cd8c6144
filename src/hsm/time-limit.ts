/**
 * TimeLimit: finds requests that a client has had for too long. One timer per VM, armed only while
 * a client has a request that it did not answer inside `notify`.
 *
 * Called by: VmRequests, in the Service VM's thread.
 */

import { startBackgroundTimer, type BackgroundTimer } from '../sync/background-timer.js';
import type { SlotAssignment } from './slot-assignment.js';

/** setTimeout clamps a longer delay to 1 ms. */
const MAX_DELAY_MS = 0x7fff_ffff;
/** A request that its client keeps is reported again after this many times the elapsed time. */
const NEXT_REPORT_FACTOR = 2;

export interface TimeLimitOptions {
  /** Infinity: no limit. */
  readonly limitMs: number;
  readonly assignments: readonly SlotAssignment[];
  /** Reports a late request. Returns whether the client keeps it. */
  readonly onLate: (assignment: SlotAssignment, elapsedMs: number) => boolean;
}

export class TimeLimit {
  readonly #options: TimeLimitOptions;
  #timer: BackgroundTimer | undefined;

  constructor(options: TimeLimitOptions) {
    this.#options = options;
  }

  watch(assignment: SlotAssignment, ticket: number): void {
    const { limitMs } = this.#options;
    if (limitMs === Infinity) return;
    assignment.watchedTicket = ticket;
    assignment.sinceMs = performance.now();
    assignment.reportMs = limitMs;
    this.#timer ??= this.#arm(limitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const assignment of this.#options.assignments) assignment.watchedTicket = 0;
  }

  #arm(delayMs: number): BackgroundTimer {
    return startBackgroundTimer(() => this.#check(), Math.min(delayMs, MAX_DELAY_MS));
  }

  #check(): void {
    const { limitMs, assignments } = this.#options;
    this.#timer = undefined;
    const nowMs = performance.now();
    let nextMs = Infinity;
    for (const assignment of assignments) nextMs = Math.min(nextMs, this.#checkOne(assignment, nowMs));
    // `watch` may have armed a timer meanwhile that is later than `nextMs`.
    if (nextMs === Infinity) return;
    clearTimeout(this.#timer);
    this.#timer = this.#arm(Math.min(nextMs, limitMs));
  }

  /** Returns the ms until the next check of the request. Infinity: no further check. */
  #checkOne(assignment: SlotAssignment, nowMs: number): number {
    const ticket = assignment.watchedTicket;
    if (ticket === 0) return Infinity;
    if (!assignment.isOwed(ticket)) {
      assignment.watchedTicket = 0;
      return Infinity;
    }
    const elapsedMs = nowMs - assignment.sinceMs;
    if (elapsedMs < assignment.reportMs) return assignment.reportMs - elapsedMs;
    if (this.#options.onLate(assignment, elapsedMs)) {
      assignment.reportMs = elapsedMs * NEXT_REPORT_FACTOR;
      return assignment.reportMs - elapsedMs;
    }
    // Keep the watch on a newer request: the report may have let the guest go on.
    if (assignment.watchedTicket === ticket) assignment.watchedTicket = 0;
    return Infinity;
  }
}
