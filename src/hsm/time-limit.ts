/**
 * TimeLimit: finds requests that a client has had for too long. One timer for a VM, armed only while a request is being
 * answered later than in its own turn; requests that are answered at once never touch it.
 */

import { SLOT_COUNT } from '../io-request/layout.js';

/** How long a client may take for a request unless the VM says otherwise. */
export const CLIENT_TIMEOUT_MS = 5000;
/** A timer's longest delay; a longer one would fire at once. */
const MAX_DELAY_MS = 0x7fff_ffff;

export class TimeLimit {
  readonly #limitMs: number;
  readonly #ticketOf: (vcpu: number) => number;
  readonly #expire: (vcpu: number) => void;
  readonly #tickets = new Int32Array(SLOT_COUNT);
  readonly #since = new Float64Array(SLOT_COUNT);
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `ticketOf` gives the ticket that stands in a slot now, 0 when the request was finished. */
  constructor(limitMs: number, ticketOf: (vcpu: number) => number, expire: (vcpu: number) => void) {
    this.#limitMs = limitMs;
    this.#ticketOf = ticketOf;
    this.#expire = expire;
  }

  watch(vcpu: number, ticket: number): void {
    if (this.#limitMs === Infinity) return;
    this.#tickets[vcpu] = ticket;
    this.#since[vcpu] = performance.now();
    this.#timer ??= this.#arm(this.#limitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(delayMs: number): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => this.#check(), Math.min(delayMs, MAX_DELAY_MS));
    (timer as { unref?: () => void }).unref?.();
    return timer;
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
      const left = this.#limitMs - (now - (this.#since[vcpu] as number));
      if (left > 0) next = Math.min(next, left);
      else {
        this.#tickets[vcpu] = 0;
        this.#expire(vcpu);
      }
    }
    if (next !== Infinity) this.#timer ??= this.#arm(next);
  }
}
