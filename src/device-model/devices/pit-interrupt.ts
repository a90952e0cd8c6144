/**
 * PitInterrupt: carries the rising edges of a counter's OUT to an interrupt line, with a host whose timers are late.
 * Part of Pit8254, for counter 0.
 *
 * Each edge is due at its ideal tick, whatever happened to the edges before it, so lateness never adds up to drift. When
 * the host comes so late that several edges are due, one interrupt now would make the guest lose time: a guest without
 * another clock counts its time by these interrupts, and two edges that meet in the interrupt controller are one. So the
 * others are owed, and delivered between the regular ones, spaced so that the guest can take each: half a period, at most
 * a millisecond. What exceeds the limit of owed edges is dropped, and counted in `missedTicks`.
 *
 * Edges are looked for when the timer fires and when the guest touches the counter. The line stays high after an edge
 * until the next one, or until an access finds OUT low: only its edges mean something to the PC's interrupt controllers.
 */

import type { Clock, ClockTimer } from '../clock.js';
import type { InterruptLine } from '../device.js';
import type { PitCounter } from './pit-counter.js';
import { msOfTick, PIT_TICKS_PER_MS, tickAt } from './pit8254-registers.js';

/** Edges that may be owed: one second of a guest that counts milliseconds. */
export const CATCH_UP_TICKS = 1000;

/** Edges closer than this are not delivered: a guest may programme 596,591 a second, which no host could time. */
const SHORTEST_SPACING = Math.round(0.1 * PIT_TICKS_PER_MS);

/** Owed edges come no further apart than this. */
const LONGEST_SPACING = Math.round(PIT_TICKS_PER_MS);

export class PitInterrupt {
  readonly #counter: PitCounter;
  readonly #line: InterruptLine;
  readonly #clock: Clock;
  readonly #catchUpTicks: number;
  /** Edges up to this tick are delivered, owed or missed. */
  #accountedTo: number;
  #lastEdgeAt = -Infinity;
  #owed = 0;
  #missed = 0;
  #timer: ClockTimer | undefined;
  #timerAt = Infinity;

  constructor(counter: PitCounter, line: InterruptLine, clock: Clock, catchUpTicks = CATCH_UP_TICKS) {
    this.#counter = counter;
    this.#line = line;
    this.#clock = clock;
    this.#catchUpTicks = catchUpTicks;
    this.#accountedTo = tickAt(clock.now());
    line.set(false);
  }

  /** Edges of OUT that the guest never got as an interrupt. */
  get missedTicks(): number {
    return this.#missed;
  }

  /** Before the guest's access to the counter at `tick`: it then finds the interrupts that its count tells of. */
  beforeAccess(tick: number): void {
    if (this.#counter.nextRise(this.#accountedTo) <= tick) this.#deliver(tick);
  }

  /** Around a write, which may move OUT by itself. `outWasHigh` is OUT before it. */
  afterWrite(tick: number, outWasHigh: boolean): void {
    const outIsHigh = this.#counter.isOutHigh(tick);
    if (!outIsHigh) this.#line.set(false);
    else if (!outWasHigh) this.#pulse(tick);
    this.#accountedTo = Math.max(this.#accountedTo, tick);
    this.#arm(tick);
  }

  /** The counter was given a new mode: what it owed belongs to a rhythm that is over. */
  forget(): void {
    this.#missed += this.#owed;
    this.#owed = 0;
  }

  reset(): void {
    this.close();
    this.#accountedTo = tickAt(this.#clock.now());
    this.#lastEdgeAt = -Infinity;
    this.#owed = 0;
    this.#missed = 0;
    this.#line.set(false);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  #deliver(tick: number): void {
    this.#owed += this.#counter.risesBetween(this.#accountedTo, tick);
    this.#accountedTo = Math.max(this.#accountedTo, tick);
    if (this.#owed > 0 && tick >= this.#lastEdgeAt + this.#spacing) {
      this.#owed--;
      this.#pulse(tick);
    }
    const tooMany = this.#owed - this.#catchUpTicks;
    if (tooMany > 0) {
      this.#owed -= tooMany;
      this.#missed += tooMany;
    }
    this.#arm(tick);
  }

  #pulse(tick: number): void {
    this.#lastEdgeAt = tick;
    this.#line.set(false);
    this.#line.set(true);
  }

  get #spacing(): number {
    const period = this.#counter.period ?? 0;
    return Math.min(Math.max(Math.floor(period / 2), SHORTEST_SPACING), LONGEST_SPACING);
  }

  /** A timer for the next edge that can be delivered, and none when OUT stays as it is. */
  #arm(tick: number): void {
    const earliest = this.#lastEdgeAt + this.#spacing;
    const due = this.#owed > 0 ? earliest : Math.max(earliest, this.#counter.nextRise(tick));
    if (due === this.#timerAt) return;
    this.close();
    if (due === Infinity) return;
    this.#timerAt = due;
    this.#timer = this.#clock.schedule(msOfTick(due), () => {
      this.#timer = undefined;
      this.#timerAt = Infinity;
      this.#deliver(Math.max(due, tickAt(this.#clock.now())));
    });
  }
}
