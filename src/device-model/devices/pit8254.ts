/**
 * Pit8254: the PC's interval timer, an Intel 8254. Four ports: three counters and the control port.
 * Counter 0 is the system timer, whose OUT is interrupt line 0. Counter 1 once paced the memory
 * refresh. Counter 2 is gated by port 0x61 (system-control-port.ts), and guests calibrate other
 * clocks with it.
 *
 * Called by: DeviceClient, at ports 0x40 to 0x43 (vm/standard-pc.ts); SystemControlPort, for
 * counter 2.
 *
 * Counts are computed from the Clock at the moment they are read, to the tick. Only counter 0 needs
 * a timer, and only while its OUT can rise (pit-interrupt.ts).
 */

import { SavedState } from '../../io-request/saved-state.js';
import { readBytes, writeBytes } from '../byte-registers.js';
import type { ByteRegisters } from '../byte-registers.js';
import { SystemClock } from '../clock.js';
import type { Clock } from '../clock.js';
import { UNCONNECTED } from '../device.js';
import type { AccessSize, Device, InterruptLine } from '../device.js';
import { PitCounter } from './pit-counter.js';
import { PitInterrupt } from './pit-interrupt.js';
import {
  Access,
  CONTROL_PORT,
  PIT8254_REGISTERS,
  PIT_COUNTERS,
  READ_BACK,
  ReadBack,
  tickAt,
} from './pit8254-registers.js';

export interface Pit8254Options {
  /** Line 0 of a PC. */
  readonly interrupt?: InterruptLine;
  readonly clock?: Clock;
  /**
   * Limit of owed interrupts of counter 0 (see PitInterrupt). 0: of several edges that are due, one
   * is delivered and the others are dropped. Default: CATCH_UP_TICKS, a second of a guest that
   * counts milliseconds.
   */
  readonly catchUpTicks?: number;
}

export class Pit8254 implements Device, ByteRegisters {
  readonly name = 'pit8254';
  readonly registers = PIT8254_REGISTERS;
  readonly #clock: Clock;
  /** The gates of counters 0 and 1 are tied high. Port 0x61 controls that of counter 2. */
  readonly #counters = [new PitCounter(true), new PitCounter(true), new PitCounter(false)] as const;
  readonly #interrupt: PitInterrupt;

  constructor(options: Pit8254Options = {}) {
    this.#clock = options.clock ?? new SystemClock();
    this.#interrupt = new PitInterrupt(
      this.#counters[0],
      options.interrupt ?? UNCONNECTED,
      this.#clock,
      options.catchUpTicks,
    );
  }

  /** CLK pulses since the start of the Clock. */
  get ticks(): number {
    return tickAt(this.#clock.now());
  }

  /** Edges of counter 0 since the reset that were never delivered as an interrupt. */
  get missedTicks(): number {
    return this.#interrupt.missedTicks;
  }

  /** The pins of counter 2. */
  get gate2(): boolean {
    return this.#counters[2].gate;
  }

  set gate2(high: boolean) {
    this.#counters[2].setGate(high, this.ticks);
  }

  get out2(): boolean {
    return this.#counters[2].isOutHigh(this.ticks);
  }

  read(offset: number, size: AccessSize): number {
    return readBytes(this, offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    writeBytes(this, offset, size, value);
  }

  /** All 16 bits of a counter. Its port gives one byte at a time. */
  peek(offset: number): number | undefined {
    return this.#counters[offset]?.peek(this.ticks);
  }

  /** The control port cannot be read: the chip does not drive the bus. */
  readByte(offset: number): number {
    const counter = this.#counters[offset];
    if (counter === undefined) return 0xff;
    const tick = this.ticks;
    // A latched count is older than `tick`, so its interrupts are delivered before it is read, too.
    if (offset === 0) this.#interrupt.beforeAccess(tick);
    return counter.read(tick);
  }

  writeByte(offset: number, value: number): void {
    if (offset < PIT_COUNTERS) this.#changeCounter(offset, (counter, tick) => counter.write(value, tick));
    else if (offset === CONTROL_PORT) this.#command(value);
  }

  reset(): void {
    for (const counter of this.#counters) counter.reset();
    this.#interrupt.reset();
  }

  save(): unknown {
    return { counters: this.#counters.map((counter) => counter.save()), interrupt: this.#interrupt.save() };
  }

  restore(state: unknown): void {
    const from = new SavedState(this.name, state);
    const counters = from.list('counters', PIT_COUNTERS);
    this.#counters.forEach((counter, index) => counter.restore(counters[index]));
    this.#interrupt.restore(from.value('interrupt'));
  }

  close(): void {
    this.#interrupt.close();
  }

  /**
   * A write to the control port. A latch performs a load that is due, after which the edges of the
   * old count cannot be computed any more: they are delivered first.
   */
  #command(value: number): void {
    const select = value >>> 6;
    if (select === READ_BACK) this.#readBack(value);
    else if (((value >>> 4) & 3) === Access.LATCH) {
      const tick = this.ticks;
      if (select === 0) this.#interrupt.beforeAccess(tick);
      this.#counters[select as 0 | 1 | 2].latchCount(tick);
    } else {
      this.#changeCounter(select, (counter, tick) => {
        if (select === 0) this.#interrupt.dropOwed();
        counter.control(value, tick);
      });
    }
  }

  /** All selected counters are latched at the same tick. */
  #readBack(value: number): void {
    const tick = this.ticks;
    this.#counters.forEach((counter, index) => {
      if ((value & (2 << index)) === 0) return;
      if (index === 0) this.#interrupt.beforeAccess(tick);
      if ((value & ReadBack.NOT_COUNT) === 0) counter.latchCount(tick);
      if ((value & ReadBack.NOT_STATUS) === 0) counter.latchStatus(tick);
    });
  }

  /** Makes a change by which OUT may move. OUT of counter 0 is the interrupt. */
  #changeCounter(index: number, change: (counter: PitCounter, tick: number) => void): void {
    const counter = this.#counters[index];
    if (counter === undefined) return;
    const tick = this.ticks;
    if (index !== 0) {
      change(counter, tick);
      return;
    }
    this.#interrupt.beforeAccess(tick);
    const outWasHigh = counter.isOutHigh(tick);
    change(counter, tick);
    this.#interrupt.afterWrite(tick, outWasHigh);
  }
}
