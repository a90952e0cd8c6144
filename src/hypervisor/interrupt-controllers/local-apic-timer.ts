/**
 * LocalApicTimer: the timer of a local APIC, in one-shot and in periodic mode.
 *
 * Called by: LocalApic.
 * Threads: the vCPU's.
 *
 * The count is computed from the guest's time when it is needed. A timer that is behind by several
 * periods expires once for all of them.
 *
 * Source: Intel SDM volume 3, "APIC Timer".
 */

import { SavedState } from '../../io-request/saved-state.js';

/** Ticks of the bus clock, 1 GHz, in a millisecond of the guest. The TSC has the same rate. */
const TICKS_PER_MS = 1_000_000;

export class LocalApicTimer {
  readonly #now: () => number;
  #divideRegister = 0;
  #divisor = 2;
  #initial = 0;
  /** When the count had its initial value. */
  #startMs = 0;
  #isRunning = false;

  /** `now`: the guest's time in ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get initialCount(): number {
    return this.#initial;
  }

  /** Starts the count. 0 stops it. */
  start(count: number): void {
    this.#initial = count >>> 0;
    this.#startMs = this.#now();
    this.#isRunning = this.#initial !== 0;
  }

  /** The divide configuration register: bits 3, 1 and 0. */
  get divide(): number {
    return this.#divideRegister;
  }

  /** The count goes on from its value at the new rate. */
  set divide(value: number) {
    const elapsedTicks = this.#elapsed(this.#now());
    this.#setDivide(value);
    this.#startMs = this.#now() - (elapsedTicks * this.#divisor) / TICKS_PER_MS;
  }

  currentCount(isPeriodic: boolean): number {
    if (!this.#isRunning) return 0;
    const elapsed = Math.floor(this.#elapsed(this.#now()));
    if (isPeriodic) return this.#initial - (elapsed % this.#initial);
    return Math.max(0, this.#initial - elapsed);
  }

  /** `expire` at this moment. */
  settle(isPeriodic: boolean): boolean {
    return this.#isRunning && this.expire(this.#now(), isPeriodic);
  }

  /** Whether the timer expired since the last call. */
  expire(nowMs: number, isPeriodic: boolean): boolean {
    if (!this.#isRunning || this.#elapsed(nowMs) < this.#initial) return false;
    if (isPeriodic) this.#startMs += Math.floor(this.#elapsed(nowMs) / this.#initial) * this.#periodMs;
    else this.#isRunning = false;
    return true;
  }

  /** Milliseconds until it expires, or Infinity. */
  remainingMs(nowMs: number): number {
    return this.#isRunning ? Math.max(0, this.#startMs + this.#periodMs - nowMs) : Infinity;
  }

  /** Times are the guest's, which goes on from where it was saved. */
  save(): unknown {
    return { divide: this.#divideRegister, initial: this.#initial, startMs: this.#startMs, isRunning: this.#isRunning };
  }

  restore(state: unknown): void {
    const from = new SavedState('local APIC timer', state);
    this.#setDivide(from.byte('divide'));
    this.#initial = from.integer('initial', 0, 0xffff_ffff);
    this.#startMs = from.number('startMs');
    this.#isRunning = from.boolean('isRunning') && this.#initial !== 0;
  }

  #setDivide(value: number): void {
    this.#divideRegister = value & 0b1011;
    // 000 divides by 2, 001 by 4 … 110 by 128, and 111 by 1.
    const exponent = ((value & 0b11) | ((value & 0b1000) >> 1)) + 1;
    this.#divisor = 1 << (exponent & 7);
  }

  get #periodMs(): number {
    return (this.#initial * this.#divisor) / TICKS_PER_MS;
  }

  #elapsed(nowMs: number): number {
    return Math.max(0, ((nowMs - this.#startMs) * TICKS_PER_MS) / this.#divisor);
  }
}
