/**
 * TimeLimit: finds requests that a client has had for too long. One timer for a VM, armed only while a request is being
 * answered later than in its own turn; requests that are answered at once never touch it.
 */

import { startBackgroundTimer, type BackgroundTimer } from '../sync/background-timer.js';
import { SLOT_COUNT } from '../io-request/layout.js';

/** How long a client may take for a request unless the VM says otherwise. */
export const CLIENT_TIMEOUT_MS = 5000;
/** A timer's longest delay; a longer one would fire at once. */
const MAX_DELAY_MS = 0x7fff_ffff;
/** A request that a late client keeps is told again when it has taken so many times as long. */
const NEXT_REPORT_FACTOR = 2;

/**
 * What becomes of a late request. `all-ones`: the client is taken out and what it has finishes as all ones, so that the
 * guest goes on. `wait`: it is told, and told again at growing intervals, and the client keeps it: for who wants to look.
 */
export type LatePolicy = 'all-ones' | 'wait';
export const LATE_POLICIES = ['all-ones', 'wait'] as const satisfies readonly LatePolicy[];

export class TimeLimit {
  readonly #limitMs: number;
  readonly #ticketOf: (vcpu: number) => number;
  readonly #late: (vcpu: number, elapsedMs: number) => boolean;
  readonly #tickets = new Int32Array(SLOT_COUNT);
  readonly #since = new Float64Array(SLOT_COUNT);
  /** How long after `since` a request is told next. */
  readonly #nextMs = new Float64Array(SLOT_COUNT);
  #timer: BackgroundTimer | undefined;

  /**
   * `ticketOf` gives the ticket that stands in a slot now, 0 when the request was finished. `late` says whether the client
   * keeps the request.
   */
  constructor(limitMs: number, ticketOf: (vcpu: number) => number, late: (vcpu: number, elapsedMs: number) => boolean) {
    this.#limitMs = limitMs;
    this.#ticketOf = ticketOf;
    this.#late = late;
  }

  watch(vcpu: number, ticket: number): void {
    if (this.#limitMs === Infinity) return;
    this.#tickets[vcpu] = ticket;
    this.#since[vcpu] = performance.now();
    this.#nextMs[vcpu] = this.#limitMs;
    this.#timer ??= this.#arm(this.#limitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#tickets.fill(0);
  }

  #arm(delayMs: number): BackgroundTimer {
    return startBackgroundTimer(() => this.#check(), Math.min(delayMs, MAX_DELAY_MS));
  }

  #check(): void {
    this.#timer = undefined;
    const now = performance.now();
    let next = Infinity;
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
      const ticket = this.#tickets[vcpu] as number;
      if (ticket === 0) continue;
      if (this.#ticketOf(vcpu) !== ticket) {
        this.#tickets[vcpu] = 0;
        continue;
      }
      const elapsedMs = now - (this.#since[vcpu] as number);
      let left = (this.#nextMs[vcpu] as number) - elapsedMs;
      if (left <= 0) {
        if (!this.#late(vcpu, elapsedMs)) {
          // Unless another request is watched there already: whoever was told may have let the guest go on.
          if (this.#tickets[vcpu] === ticket) this.#tickets[vcpu] = 0;
          continue;
        }
        const nextMs = elapsedMs * NEXT_REPORT_FACTOR;
        this.#nextMs[vcpu] = nextMs;
        left = nextMs - elapsedMs;
      }
      next = Math.min(next, left);
    }
    // A timer that `watch` has armed meanwhile may be for later than what is next here.
    if (next === Infinity) return;
    clearTimeout(this.#timer);
    this.#timer = this.#arm(Math.min(next, this.#limitMs));
  }
}
