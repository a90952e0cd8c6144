/**
 * PitCounter: one of the 8254's counters: control word, count register, latches, gate and OUT.
 *
 * Called by: Pit8254; PitInterrupt, for the rising edges of counter 0.
 * Callers must: pass whole ticks (`tickAt`): the current one, or for `nextRise` and `risesBetween`
 * the end of the time whose edges are counted already. Loads must not be performed beyond that tick
 * before these two are called.
 *
 * This file decides when counts are loaded. What a loaded count does as time passes is in
 * pit-waveform.ts. The chip loads a written count, and samples a rising gate, at the next CLK
 * pulse.
 */

import { finiteOrNull, SavedState } from '../../io-request/saved-state.js';
import { fromBcd, toBcd } from './pit-bcd.js';
import { Access, PitStatus } from './pit8254-registers.js';
import {
  countAfter,
  gateStopsCounting,
  highTicks,
  isOutHigh,
  isPeriodic,
  nextReload,
  nextRise,
  risesBetween,
  type Loaded,
  type PitMode,
} from './pit-waveform.js';

/** Mode 3, low byte then high byte, no count. The data sheet leaves power-on undefined. */
const POWER_ON_CONTROL = 0x36;

export class PitCounter {
  #control = POWER_ON_CONTROL;
  #mode: PitMode = 3;
  #gate: boolean;
  readonly #gateAtPowerOn: boolean;
  /** The count register as the guest wrote it, and whether it did since the control word. */
  #register = 0;
  #registerWritten = false;
  #lowByte = 0;
  #highByteIsNext = false;
  #nullCount = true;
  #loaded: Loaded | undefined;
  /** The tick at which the count register is loaded. Infinity if no load is due. */
  #loadAt = Infinity;
  /** Whether that load starts the low half of mode 3. */
  #loadsLowHalf = false;
  /** The tick at which the gate stopped the count. Infinity while it counts. */
  #stoppedAt = Infinity;
  /** The value of the counting element while no count is loaded. */
  #heldCount = 0;
  #latchedCount: number | undefined;
  #latchedStatus: number | undefined;
  #highByteIsNextRead = false;

  /** `gate`: whether the gate is high at power-on. */
  constructor(gate: boolean) {
    this.#gate = gate;
    this.#gateAtPowerOn = gate;
  }

  /** Writes a control word: OUT takes the mode's first state. Counting waits for a count. */
  control(word: number, tick: number): void {
    this.#stop(tick);
    this.#control = word & 0x3f;
    const mode = (word >>> 1) & 7;
    this.#mode = (mode > 5 ? mode - 4 : mode) as PitMode;
    this.#registerWritten = this.#highByteIsNext = this.#highByteIsNextRead = false;
    this.#nullCount = true;
    this.#latchedCount = this.#latchedStatus = undefined;
  }

  write(byte: number, tick: number): void {
    if (this.#access === Access.LOW_BYTE) this.#setRegister(byte, tick);
    else if (this.#access === Access.HIGH_BYTE) this.#setRegister(byte << 8, tick);
    else {
      this.#highByteIsNext = !this.#highByteIsNext;
      if (this.#highByteIsNext) {
        this.#lowByte = byte;
        // In mode 0 the first byte of a count stops the counting, and OUT goes low.
        if (this.#mode === 0) this.#stop(tick);
      } else this.#setRegister(this.#lowByte | (byte << 8), tick);
    }
  }

  /** Returns a latched status first, then a latched count, then the current count. */
  read(tick: number): number {
    if (this.#latchedStatus !== undefined) {
      const status = this.#latchedStatus;
      this.#latchedStatus = undefined;
      return status;
    }
    const count = this.#latchedCount ?? this.count(tick);
    if (this.#access === Access.LOW_THEN_HIGH) {
      this.#highByteIsNextRead = !this.#highByteIsNextRead;
      if (this.#highByteIsNextRead) return count & 0xff;
    }
    this.#latchedCount = undefined;
    return this.#access === Access.LOW_BYTE ? count & 0xff : count >>> 8;
  }

  /** Latches the count until it is read. A count that is latched already stays. */
  latchCount(tick: number): void {
    this.#latchedCount ??= this.count(tick);
  }

  latchStatus(tick: number): void {
    this.#settle(tick);
    this.#latchedStatus ??=
      (this.isOutHigh(tick) ? PitStatus.OUT : 0) | (this.#nullCount ? PitStatus.NULL_COUNT : 0) | this.#control;
  }

  /** The counting element: 16 bits, or four decimal digits. */
  count(tick: number): number {
    this.#settle(tick);
    const loaded = this.#loaded;
    return loaded === undefined ? this.#heldCount : this.#shown(loaded, tick, this.#stoppedAt);
  }

  /** As `count`, but a load that is due is not performed: that is for the guest's next access. */
  peek(tick: number): number {
    const isDue = tick >= this.#loadAt;
    const loaded = isDue ? this.#nextLoaded() : this.#loaded;
    if (loaded === undefined) return this.#heldCount;
    const stopsAt = this.#gate || !gateStopsCounting(this.#mode) ? Infinity : this.#loadAt;
    return this.#shown(loaded, tick, isDue ? stopsAt : this.#stoppedAt);
  }

  isOutHigh(tick: number): boolean {
    this.#settle(tick);
    const loaded = this.#loaded;
    if (loaded === undefined) return this.#mode !== 0;
    // In modes 2 and 3 a low gate drives OUT high at once.
    if (isPeriodic(this.#mode) && this.#stoppedAt !== Infinity) return true;
    return isOutHigh(this.#mode, loaded.count, this.#elapsed(loaded, tick));
  }

  setGate(high: boolean, tick: number): void {
    if (high === this.#gate) return;
    this.#settle(tick);
    this.#gate = high;
    if (high) this.#openGate(tick);
    else if (gateStopsCounting(this.#mode) && this.#loaded !== undefined && this.#stoppedAt === Infinity) {
      this.#stoppedAt = tick;
      // The cycle will not end, so a new count is loaded by the gate instead.
      if (isPeriodic(this.#mode)) this.#loadAt = Infinity;
    }
  }

  get gate(): boolean {
    return this.#gate;
  }

  /** The loaded count in modes 2 and 3, else undefined. Performs no load that is due. */
  get period(): number | undefined {
    return isPeriodic(this.#mode) ? this.#loaded?.count : undefined;
  }

  /** How many times OUT rose after tick `from`, up to tick `to`. Performs the loads until then. */
  risesBetween(from: number, to: number): number {
    this.#settle(from);
    // The old count until the load, if one is due, then the new one.
    const loadAt = this.#loadAt;
    let rises = this.#runs ? risesBetween(this.#mode, this.#loaded as Loaded, from, Math.min(to, loadAt)) : 0;
    if (loadAt <= to) {
      this.#settle(to);
      if (this.#runs) rises += risesBetween(this.#mode, this.#loaded as Loaded, loadAt, to);
    }
    return rises;
  }

  /** The first tick after `after` at which OUT rises by itself. Infinity if it does not. */
  nextRise(after: number): number {
    this.#settle(after);
    const rise = this.#runs ? nextRise(this.#mode, this.#loaded as Loaded, after) : Infinity;
    // A load before that rise replaces the count, and a closed gate keeps the new one from running.
    if (rise <= this.#loadAt || (!this.#gate && gateStopsCounting(this.#mode))) return rise;
    return nextRise(this.#mode, this.#nextLoaded(), this.#loadAt);
  }

  reset(): void {
    this.control(POWER_ON_CONTROL, 0);
    this.#gate = this.#gateAtPowerOn;
    this.#register = this.#heldCount = 0;
  }

  /** Ticks are those of the Clock, which goes on from the same value. */
  save(): unknown {
    return {
      ...{ control: this.#control, gate: this.#gate, register: this.#register, lowByte: this.#lowByte },
      ...{ registerWritten: this.#registerWritten, nullCount: this.#nullCount, heldCount: this.#heldCount },
      ...{ highByteIsNext: this.#highByteIsNext, highByteIsNextRead: this.#highByteIsNextRead },
      ...{ loadAt: finiteOrNull(this.#loadAt), stoppedAt: finiteOrNull(this.#stoppedAt) },
      ...{ loaded: this.#loaded ?? null, loadsLowHalf: this.#loadsLowHalf },
      ...{ latchedCount: this.#latchedCount ?? null, latchedStatus: this.#latchedStatus ?? null },
    };
  }

  restore(state: unknown): void {
    const from = new SavedState('pit counter', state);
    // Sets the mode.
    this.control(from.byte('control'), 0);
    [this.#gate, this.#registerWritten] = [from.boolean('gate'), from.boolean('registerWritten')];
    [this.#register, this.#lowByte] = [from.integer('register', 0, 0xffff), from.byte('lowByte')];
    [this.#nullCount, this.#loadsLowHalf] = [from.boolean('nullCount'), from.boolean('loadsLowHalf')];
    this.#highByteIsNext = from.boolean('highByteIsNext');
    this.#highByteIsNextRead = from.boolean('highByteIsNextRead');
    const loaded = from.optional('loaded', () => from.part('loaded'));
    this.#loaded = loaded && { start: loaded.number('start'), count: loaded.integer('count', 1, 65_536) };
    [this.#loadAt, this.#stoppedAt] = [from.numberOr('loadAt', Infinity), from.numberOr('stoppedAt', Infinity)];
    this.#heldCount = from.integer('heldCount', 0, 0xffff);
    this.#latchedCount = from.optional('latchedCount', () => from.integer('latchedCount', 0, 0xffff));
    this.#latchedStatus = from.optional('latchedStatus', () => from.byte('latchedStatus'));
  }

  get #access(): number {
    return (this.#control >>> 4) & 3;
  }

  get #isBcd(): boolean {
    return (this.#control & 1) !== 0;
  }

  get #runs(): boolean {
    return this.#loaded !== undefined && this.#stoppedAt === Infinity;
  }

  /** What a read shows of the counting element, with a count that counts until `stoppedAt`. */
  #shown(loaded: Loaded, tick: number, stoppedAt: number): number {
    const modulus = this.#isBcd ? 10_000 : 65_536;
    const value = countAfter(this.#mode, loaded.count, this.#elapsed(loaded, tick, stoppedAt), modulus);
    return this.#isBcd ? toBcd(value) : value;
  }

  /** CLK pulses that were counted since the load. */
  #elapsed(loaded: Loaded, tick: number, stoppedAt = this.#stoppedAt): number {
    return Math.max(0, Math.min(tick, stoppedAt) - loaded.start);
  }

  #setRegister(value: number, tick: number): void {
    this.#settle(tick);
    const isFirst = !this.#registerWritten;
    this.#register = value;
    this.#registerWritten = true;
    this.#nullCount = true;
    if (this.#mode === 0) this.#stop(tick);
    if (this.#mode === 0 || this.#mode === 4) this.#loadAt = tick + 1;
    else if (isPeriodic(this.#mode)) this.#scheduleReload(isFirst, tick);
    // In modes 1 and 5 a rising gate loads it.
  }

  /** Mode 2 loads at its cycle's end, mode 3 at its half's, both at the next CLK if `isFirst`. */
  #scheduleReload(isFirst: boolean, tick: number): void {
    if (isFirst) {
      this.#loadAt = tick + 1;
      this.#loadsLowHalf = false;
    }
    const loaded = this.#loaded;
    if (loaded === undefined || this.#loadAt !== Infinity || this.#stoppedAt !== Infinity) return;
    [this.#loadAt, this.#loadsLowHalf] = nextReload(this.#mode, loaded, tick);
  }

  #openGate(tick: number): void {
    if (this.#mode === 0 || this.#mode === 4) {
      if (this.#loaded !== undefined && this.#stoppedAt !== Infinity) {
        const { start, count } = this.#loaded;
        this.#loaded = { start: start + Math.max(0, tick - this.#stoppedAt), count };
      }
      this.#stoppedAt = Infinity;
    } else if (this.#registerWritten) {
      this.#loadAt = tick + 1;
      this.#loadsLowHalf = false;
    }
  }

  /** Performs the load that is due by `tick`. */
  #settle(tick: number): void {
    if (tick < this.#loadAt) return;
    this.#loaded = this.#nextLoaded();
    this.#stoppedAt = this.#gate || !gateStopsCounting(this.#mode) ? Infinity : this.#loadAt;
    this.#loadAt = Infinity;
    this.#nullCount = false;
  }

  /** What the load that is due at `#loadAt` puts into the counting element. */
  #nextLoaded(): Loaded {
    const count = this.#isBcd ? fromBcd(this.#register) || 10_000 : this.#register || 65_536;
    return { start: this.#loadAt - (this.#loadsLowHalf ? highTicks(count) : 0), count };
  }

  /** Unloads the count. The counting element keeps its value. */
  #stop(tick: number): void {
    this.#heldCount = this.count(tick);
    this.#loaded = undefined;
    this.#loadAt = Infinity;
    this.#loadsLowHalf = false;
    this.#stoppedAt = Infinity;
  }
}
