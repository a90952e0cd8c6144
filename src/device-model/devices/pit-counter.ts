/**
 * PitCounter: one of the 8254's three counters: control word, count register, latches, gate and OUT. It has no clock;
 * every call says which tick it is, and ticks never go back by more than rounding.
 *
 * Part of Pit8254. What a loaded count does as time passes is in pit-waveform.ts; here is when counts are loaded. The
 * chip takes a written count, and a rising gate, at the next CLK pulse.
 */

import { Access, PitStatus } from './pit8254-registers.js';
import {
  countAfter,
  gateStopsCounting,
  highTicks,
  isOutHigh,
  isPeriodic,
  nextRise,
  risesBetween,
} from './pit-waveform.js';
import type { Loaded, PitMode } from './pit-waveform.js';

/** Mode 3, low byte then high byte, and no count yet. The data sheet leaves the state at power-on open. */
const POWER_ON_CONTROL = 0x36;

export class PitCounter {
  #control = POWER_ON_CONTROL;
  #mode: PitMode = 3;
  #gate: boolean;
  readonly #gateAtPowerOn: boolean;

  /** The count register, as written. */
  #register = 0;
  #registerWritten = false;
  #lowByte = 0;
  #highByteIsNext = false;
  #nullCount = true;

  #loaded: Loaded | undefined;
  /** When the count register goes to the counting element; Infinity when nothing is due. */
  #loadAt = Infinity;
  /** That load begins mode 3's low half. */
  #loadsLowHalf = false;
  /** Since when the gate stops the count; Infinity while it counts. */
  #stoppedAt = Infinity;
  /** What the counting element shows while nothing is loaded. */
  #heldCount = 0;

  #latchedCount: number | undefined;
  #latchedStatus: number | undefined;
  #highByteIsNextRead = false;

  constructor(gate: boolean) {
    this.#gate = gate;
    this.#gateAtPowerOn = gate;
  }

  /** A control word: OUT goes to the mode's first state, and nothing counts until a count is written. */
  control(word: number, tick: number): void {
    this.#stop(tick);
    this.#control = word & 0x3f;
    const mode = (word >>> 1) & 7;
    this.#mode = (mode > 5 ? mode - 4 : mode) as PitMode;
    this.#registerWritten = false;
    this.#highByteIsNext = false;
    this.#highByteIsNextRead = false;
    this.#nullCount = true;
    this.#latchedCount = undefined;
    this.#latchedStatus = undefined;
  }

  write(byte: number, tick: number): void {
    switch (this.#access) {
      case Access.LOW_BYTE:
        this.#setRegister(byte, tick);
        break;
      case Access.HIGH_BYTE:
        this.#setRegister(byte << 8, tick);
        break;
      default:
        this.#highByteIsNext = !this.#highByteIsNext;
        if (this.#highByteIsNext) {
          this.#lowByte = byte;
          // In mode 0 half a count already stops the counting, and OUT goes low.
          if (this.#mode === 0) this.#stop(tick);
        } else this.#setRegister(this.#lowByte | (byte << 8), tick);
    }
  }

  /** A latched status comes first, then a latched count, then the count as it is. */
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

  /** Holds the count until it is read. A count already held stays. */
  latchCount(tick: number): void {
    this.#latchedCount ??= this.count(tick);
  }

  latchStatus(tick: number): void {
    this.#settle(tick);
    this.#latchedStatus ??=
      (this.isOutHigh(tick) ? PitStatus.OUT : 0) | (this.#nullCount ? PitStatus.NULL_COUNT : 0) | this.#control;
  }

  /** The counting element as it reads: 16 bits, or four decimal digits. */
  count(tick: number): number {
    this.#settle(tick);
    const loaded = this.#loaded;
    return loaded === undefined ? this.#heldCount : this.#shown(loaded, tick, this.#stoppedAt);
  }

  /** The same, and the load that may be due is not done: it belongs to the guest's next access. */
  peek(tick: number): number {
    const isDue = tick >= this.#loadAt;
    const loaded = isDue ? this.#nextLoaded() : this.#loaded;
    if (loaded === undefined) return this.#heldCount;
    const opensAt = this.#gate || !gateStopsCounting(this.#mode) ? Infinity : this.#loadAt;
    return this.#shown(loaded, tick, isDue ? opensAt : this.#stoppedAt);
  }

  isOutHigh(tick: number): boolean {
    this.#settle(tick);
    const loaded = this.#loaded;
    if (loaded === undefined) return this.#mode !== 0;
    // In modes 2 and 3 a low gate takes OUT high at once.
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
      // The end of the cycle, where a new count would be loaded, does not come now; the gate will load it.
      if (isPeriodic(this.#mode)) this.#loadAt = Infinity;
    }
  }

  get gate(): boolean {
    return this.#gate;
  }

  /** Ticks of one period of OUT in modes 2 and 3; undefined where OUT does not repeat. */
  get period(): number | undefined {
    return isPeriodic(this.#mode) ? this.#loaded?.count : undefined;
  }

  /** How many times OUT rose at ticks above `from`, up to and including `to`. Asked for in order of time. */
  risesBetween(from: number, to: number): number {
    this.#settle(from);
    const loadAt = this.#loadAt;
    let rises = this.#runs ? risesBetween(this.#mode, this.#loaded as Loaded, from, Math.min(to, loadAt)) : 0;
    if (loadAt <= to) {
      this.#settle(to);
      if (this.#runs) rises += risesBetween(this.#mode, this.#loaded as Loaded, loadAt, to);
    }
    return rises;
  }

  /** The first tick above `after` at which OUT rises by itself; Infinity when none does. */
  nextRise(after: number): number {
    this.#settle(after);
    const rise = this.#runs ? nextRise(this.#mode, this.#loaded as Loaded, after) : Infinity;
    if (rise <= this.#loadAt || (!this.#gate && gateStopsCounting(this.#mode))) return rise;
    return nextRise(this.#mode, this.#nextLoaded(), this.#loadAt);
  }

  reset(): void {
    this.control(POWER_ON_CONTROL, 0);
    this.#gate = this.#gateAtPowerOn;
    this.#register = 0;
    this.#heldCount = 0;
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

  #shown(loaded: Loaded, tick: number, stoppedAt: number): number {
    const modulus = this.#isBcd ? 10_000 : 65_536;
    const value = countAfter(this.#mode, loaded.count, this.#elapsed(loaded, tick, stoppedAt), modulus);
    return this.#isBcd ? toBcd(value) : value;
  }

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
    // Modes 1 and 5 load it when the gate rises.
  }

  /** Mode 2 takes a new count at the end of its cycle, mode 3 at the end of its half; the first one comes at once. */
  #scheduleReload(isFirst: boolean, tick: number): void {
    if (isFirst) {
      this.#loadAt = tick + 1;
      this.#loadsLowHalf = false;
    }
    const loaded = this.#loaded;
    if (loaded === undefined || this.#loadAt !== Infinity || this.#stoppedAt !== Infinity) return;
    const { start, count } = loaded;
    const inPeriod = (tick - start) % count;
    const begin = tick - inPeriod;
    this.#loadsLowHalf = this.#mode === 3 && inPeriod < highTicks(count);
    this.#loadAt = begin + (this.#loadsLowHalf ? highTicks(count) : count);
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

  /** Does the load that is due by `tick`. */
  #settle(tick: number): void {
    if (tick < this.#loadAt) return;
    this.#loaded = this.#nextLoaded();
    this.#stoppedAt = this.#gate || !gateStopsCounting(this.#mode) ? Infinity : this.#loadAt;
    this.#loadAt = Infinity;
    this.#nullCount = false;
  }

  #nextLoaded(): Loaded {
    const count = this.#isBcd ? fromBcd(this.#register) || 10_000 : this.#register || 65_536;
    return { start: this.#loadAt - (this.#loadsLowHalf ? highTicks(count) : 0), count };
  }

  #stop(tick: number): void {
    this.#heldCount = this.count(tick);
    this.#loaded = undefined;
    this.#loadAt = Infinity;
    this.#loadsLowHalf = false;
    this.#stoppedAt = Infinity;
  }
}

function toBcd(value: number): number {
  return (
    (Math.floor(value / 1000) << 12) |
    ((Math.floor(value / 100) % 10) << 8) |
    ((Math.floor(value / 10) % 10) << 4) |
    (value % 10)
  );
}

/** Digits above 9 have no meaning; they count as what they weigh, and the sum stays within four digits. */
function fromBcd(value: number): number {
  return ((value >>> 12) * 1000 + ((value >>> 8) & 15) * 100 + ((value >>> 4) & 15) * 10 + (value & 15)) % 10_000;
}
