/**
 * PitInterrupt: turns the rising edges of a counter's OUT into interrupts, on a host whose timers
 * are late. Part of Pit8254, for counter 0.
 *
 * Each edge is due at its ideal tick, whatever happened to the edges before it, so delays never add
 * up to drift. If the host is so late that several edges are due, a single interrupt would make the
 * guest lose time: a guest without another clock counts these interrupts, and the interrupt
 * controller merges two pending edges into one. So the remaining edges are owed. They are delivered
 * between the regular ones, with a spacing that lets the guest take each: half a period, but 0.1 to
 * 1 ms. Edges beyond the limit are dropped and counted in `missedTicks`.
 *
 * Edges are delivered when the timer fires and when the guest accesses the counter. The line stays
 * high after an edge until the next one, or until an access finds OUT low: the PC's interrupt
 * controllers only see its edges.
 */

import { finiteOrNull, SavedState } from '../../io-request/saved-state.js';
import type { Clock, ClockTimer } from '../clock.js';
import type { InterruptLine } from '../device.js';
import type { PitCounter } from './pit-counter.js';
import { msOfTick, PIT_TICKS_PER_MS, tickAt } from './pit8254-registers.js';

/** Limit of owed edges: one second of a guest that counts milliseconds. */
export const CATCH_UP_TICKS = 1000;

/**
 * Minimum spacing, in ticks: a guest may program 596,591 edges per second, which no host can time.
 */
const SHORTEST_SPACING = Math.round(0.1 * PIT_TICKS_PER_MS);

/** Maximum spacing of owed edges, in ticks. */
const LONGEST_SPACING = Math.round(PIT_TICKS_PER_MS);

export class PitInterrupt {
  readonly #counter: PitCounter;
  readonly #line: InterruptLine;
  readonly #clock: Clock;
  readonly #catchUpTicks: number;
  /** Edges up to this tick have been delivered, owed or missed. */
  #accountedTo: number;
  #lastEdgeAt = -Infinity;
  #owed = 0;
  #missed = 0;
  /** The level of the line. */
  #isHigh = false;
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

  /** Edges of OUT since the reset that were never delivered as an interrupt. */
  get missedTicks(): number {
    return this.#missed;
  }

  /**
   * Called before the guest reads, writes or latches the counter at `tick`: delivers the interrupts
   * that are due until then. A guest that sees a new period in the count expects its interrupt to
   * be pending.
   */
  beforeAccess(tick: number): void {
    if (this.#counter.nextRise(this.#accountedTo) <= tick) this.#deliver(tick);
  }

  /** Called after a write, which may move OUT by itself. `outWasHigh`: OUT before the write. */
  afterWrite(tick: number, outWasHigh: boolean): void {
    const outIsHigh = this.#counter.isOutHigh(tick);
    if (!outIsHigh) this.#set(false);
    else if (!outWasHigh) this.#pulse(tick);
    this.#accountedTo = Math.max(this.#accountedTo, tick);
    this.#arm(tick);
  }

  /**
   * Called when the counter gets a control word: drops the owed edges. The guest starts to count
   * anew and would take them for edges of the new mode. A new count alone keeps them: in modes 2
   * and 3 it only changes the next period, and the guest goes on counting.
   */
  dropOwed(): void {
    this.#missed += this.#owed;
    this.#owed = 0;
  }

  reset(): void {
    this.close();
    this.#accountedTo = tickAt(this.#clock.now());
    this.#lastEdgeAt = -Infinity;
    this.#owed = 0;
    this.#missed = 0;
    this.#set(false);
  }

  save(): unknown {
    return {
      accountedTo: this.#accountedTo,
      lastEdgeAt: finiteOrNull(this.#lastEdgeAt),
      owed: this.#owed,
      missed: this.#missed,
      isHigh: this.#isHigh,
    };
  }

  /** After the counter. Edges that were due since it was saved come now. */
  restore(state: unknown): void {
    const from = new SavedState('pit interrupt', state);
    this.close();
    this.#accountedTo = from.number('accountedTo');
    this.#lastEdgeAt = from.numberOr('lastEdgeAt', -Infinity);
    this.#owed = from.integer('owed', 0, this.#catchUpTicks);
    this.#missed = from.integer('missed', 0, Number.MAX_SAFE_INTEGER);
    this.#set(from.boolean('isHigh'));
    this.#arm(this.#accountedTo);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  /**
   * Owes the edges until `tick`, and delivers one of them if the last delivered one is long enough
   * ago.
   */
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
    this.#set(false);
    this.#set(true);
  }

  #set(high: boolean): void {
    this.#isHigh = high;
    this.#line.set(high);
  }

  get #spacing(): number {
    const period = this.#counter.period ?? 0;
    return Math.min(Math.max(Math.floor(period / 2), SHORTEST_SPACING), LONGEST_SPACING);
  }

  /** Replaces the timer by one for the next edge to deliver. None if OUT does not rise any more. */
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
