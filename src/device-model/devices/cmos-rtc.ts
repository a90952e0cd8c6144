/**
 * CmosRtc: the PC's real-time clock and battery-backed bytes, a Motorola MC146818A behind an index
 * port (0x70) and a data port (0x71), interrupt line 8. Some guests use its periodic interrupt.
 *
 * Nothing runs in the background: each access computes what has happened since the last one from
 * the clock. A timer is active only while an interrupt is enabled and not yet raised, for an
 * absolute time, so ticks do not drift. Ticks are lost if the host or the guest reacts late.
 *
 * The time follows the clock's wall time with the guest's offset, and survives a reset as if by
 * battery. The mode registers return to the state after firmware: a guest may start without
 * firmware.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { readBytes, writeBytes, type ByteRegisters } from '../byte-registers.js';
import type { Clock, ClockTimer } from '../clock.js';
import { UNCONNECTED } from '../device.js';
import type { AccessSize, Device, InterruptLine } from '../device.js';
import type { CmosRtcOptions } from './cmos-rtc-options.js';
import { storeFirmwareContents } from './cmos-contents.js';
import { CMOS_RTC_REGISTERS, CmosIndex, periodOfRate, RtcA, RtcB, RtcD, RtcInterrupt } from './cmos-rtc-registers.js';
import { FIRST_UPDATE_MS, SECOND_MS, UIP_MS } from './cmos-rtc-timing.js';
import { advanceTime, LAST_SECOND, loadTime, secondsToAlarm, storeTime, type RtcFormat } from './rtc-calendar.js';

/** Bytes behind the index port: an index has 7 bits. */
const CMOS_BYTES = 128;
/** Offset of the data port. The index port is at 0. */
const DATA_PORT = 1;
const NMI_MASK = 0x80;
/** Bits of register B that enable the flags of register C in the same places. */
const ENABLES = RtcInterrupt.UPDATE | RtcInterrupt.ALARM | RtcInterrupt.PERIODIC;

/** With a shorter delay, rounding could make a timer fire before its event, again and again. */
const SHORTEST_DELAY_MS = 0.001;

export class CmosRtc implements Device, ByteRegisters {
  readonly name = 'cmos-rtc';
  readonly registers = CMOS_RTC_REGISTERS;
  readonly #clock: Clock;
  readonly #interrupt: InterruptLine;
  readonly #memoryBytes: number;
  readonly #contents: Readonly<Record<number, number>>;
  readonly #onTimeSet: (lastTime: number, delta: number) => void;
  readonly #cmos = new Uint8Array(CMOS_BYTES);
  #index = 0;
  #isNmiMasked = false;
  /** Register C without IRQF, which is computed from them and register B. */
  #flags = 0;
  /** Updates happen when the wall time plus this is a whole second. */
  #phaseMs = 0;
  /** The second that the calendar shows, of the wall time plus the phase. */
  #secondSeen: number;
  /** The calendar's lead over the wall time at the last call of `onTimeSet`, in seconds. */
  #reportedLead = 0;
  /** When the divider began to count, monotonic. At first the last whole second of wall time. */
  #dividerStartMs: number;
  /** Periods of the rate since `#dividerStartMs` (`#ticks`) at the last `#sync`. */
  #ticksSeen = 0;
  #timer: ClockTimer | undefined;

  constructor(options: CmosRtcOptions) {
    this.#clock = options.clock;
    this.#interrupt = options.interrupt ?? UNCONNECTED;
    this.#memoryBytes = options.memoryBytes;
    this.#contents = options.contents ?? {};
    this.#onTimeSet = options.onTimeSet ?? (() => undefined);
    this.#secondSeen = this.#second();
    this.#dividerStartMs = options.clock.now() - (options.clock.wallTimeMs() % SECOND_MS);
    this.#storeModes();
    storeTime(this.#cmos, this.#secondSeen, this.#format());
    storeFirmwareContents(this.#cmos, this.#memoryBytes, this.#contents);
  }

  /** Bit 7 of the index port: while it is set, the board (not the chip) masks NMI. */
  get isNmiMasked(): boolean {
    return this.#isNmiMasked;
  }

  read(offset: number, size: AccessSize): number {
    return readBytes(this, offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    writeBytes(this, offset, size, value);
  }

  readByte(offset: number): number {
    // The index port is write-only on PC chipsets (PIIX3 data sheet, RTCI).
    if (offset !== DATA_PORT) return 0xff;
    this.#sync();
    const value = this.#value(this.#index);
    if (this.#index === CmosIndex.C) {
      this.#flags = 0;
      this.#settle();
    }
    return value;
  }

  /** `index`: as written to the index port. Updates the time for the peek only. */
  peek(index: number): number {
    const [cmos, flags, second, ticks] = [this.#cmos.slice(), this.#flags, this.#secondSeen, this.#ticksSeen];
    this.#sync();
    const value = this.#value(index);
    this.#cmos.set(cmos);
    [this.#flags, this.#secondSeen, this.#ticksSeen] = [flags, second, ticks];
    return value;
  }

  /** The register at `index` as a read would show it. */
  #value(index: number): number {
    if (index === CmosIndex.C) return this.#flags | (this.#isRaised() ? RtcInterrupt.ANY : 0);
    if (index === CmosIndex.A) return this.#registerA | (this.#isUpdating() ? RtcA.UIP : 0);
    return this.#cmos[index] ?? 0xff;
  }

  writeByte(offset: number, value: number): void {
    if (offset === 0) {
      this.#index = value & ~NMI_MASK;
      this.#isNmiMasked = (value & NMI_MASK) !== 0;
      return;
    }
    if (offset !== DATA_PORT || this.#index === CmosIndex.C || this.#index === CmosIndex.D) return;
    this.#sync();
    const wasHalted = this.#isHalted();
    if (this.#index === CmosIndex.A) this.#writeA(value);
    // SET going high clears UIE (data sheet, register B).
    else if (this.#index === CmosIndex.B && (value & RtcB.SET) !== 0)
      this.#cmos[CmosIndex.B] = value & ~RtcInterrupt.UPDATE;
    else this.#cmos[this.#index] = value;
    // The seconds of a halt are not made up for.
    if (wasHalted) this.#secondSeen = this.#second();
    this.#settle();
    if (!this.#isHalted()) this.#reportLead();
  }

  /** The time goes on. The bytes that firmware writes at each start are restored. */
  reset(): void {
    this.#sync();
    const time = loadTime(this.#cmos, this.#format());
    this.#storeModes();
    storeTime(this.#cmos, time, this.#format());
    storeFirmwareContents(this.#cmos, this.#memoryBytes, this.#contents);
    this.#secondSeen = this.#second();
    this.#ticksSeen = this.#ticks();
    this.#flags = this.#index = 0;
    this.#isNmiMasked = false;
    this.#settle();
    this.#reportLead();
  }

  /** The calendar follows the wall time also while the machine is saved, as if by battery. */
  save(): unknown {
    return {
      ...{ cmos: Array.from(this.#cmos), index: this.#index, isNmiMasked: this.#isNmiMasked, flags: this.#flags },
      ...{ phaseMs: this.#phaseMs, secondSeen: this.#secondSeen, reportedLead: this.#reportedLead },
      ...{ dividerStartMs: this.#dividerStartMs, ticksSeen: this.#ticksSeen },
    };
  }

  restore(state: unknown): void {
    const from = new SavedState(this.name, state);
    this.#cmos.set(from.integers('cmos', CMOS_BYTES, 0, 0xff));
    [this.#index, this.#flags] = [from.integer('index', 0, CMOS_BYTES - 1), from.byte('flags')];
    this.#isNmiMasked = from.boolean('isNmiMasked');
    [this.#phaseMs, this.#secondSeen] = [from.number('phaseMs'), from.integer('secondSeen', 0, LAST_SECOND)];
    [this.#dividerStartMs, this.#ticksSeen] = [from.number('dividerStartMs'), from.number('ticksSeen')];
    this.#reportedLead = from.number('reportedLead');
    this.#settle();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  get #registerA(): number {
    return this.#cmos[CmosIndex.A] ?? 0;
  }

  get #registerB(): number {
    return this.#cmos[CmosIndex.B] ?? 0;
  }

  #storeModes(): void {
    this.#cmos[CmosIndex.A] = RtcA.AFTER_FIRMWARE;
    this.#cmos[CmosIndex.B] = RtcB.AFTER_FIRMWARE;
    this.#cmos[CmosIndex.D] = RtcD.VRT;
  }

  #writeA(value: number): void {
    const wasHeld = this.#isDividerHeld();
    this.#cmos[CmosIndex.A] = value & ~RtcA.UIP;
    if (wasHeld && !this.#isDividerHeld()) {
      this.#phaseMs = FIRST_UPDATE_MS - (this.#clock.wallTimeMs() % SECOND_MS);
      this.#dividerStartMs = this.#clock.now();
    }
    this.#ticksSeen = this.#ticks();
  }

  #format(): RtcFormat {
    return { isBinary: (this.#registerB & RtcB.DM) !== 0, is24Hour: (this.#registerB & RtcB.HOURS_24) !== 0 };
  }

  #isDividerHeld(): boolean {
    return (this.#registerA & RtcA.DIVIDER_RESET) === RtcA.DIVIDER_RESET;
  }

  #isHalted(): boolean {
    return (this.#registerB & RtcB.SET) !== 0 || this.#isDividerHeld();
  }

  #isRaised(): boolean {
    return (this.#flags & this.#registerB & ENABLES) !== 0;
  }

  #isUpdating(): boolean {
    return !this.#isHalted() && this.#toUpdateMs() <= UIP_MS;
  }

  #second(): number {
    return Math.floor((this.#clock.wallTimeMs() + this.#phaseMs) / SECOND_MS);
  }

  /** Until the next update: more than 0, at most a second. */
  #toUpdateMs(): number {
    return (this.#second() + 1) * SECOND_MS - (this.#clock.wallTimeMs() + this.#phaseMs);
  }

  /** Of the periodic interrupt. 0: none. */
  #periodMs(): number {
    return this.#isDividerHeld() ? 0 : periodOfRate(this.#registerA & RtcA.RATE);
  }

  #ticks(): number {
    const periodMs = this.#periodMs();
    return periodMs === 0 ? 0 : Math.floor((this.#clock.now() - this.#dividerStartMs) / periodMs);
  }

  /**
   * Calls `onTimeSet` if the calendar's lead over the wall time has changed. Only the guest changes
   * it, because the calendar follows the wall time.
   */
  #reportLead(): void {
    const lead = loadTime(this.#cmos, this.#format()) - this.#secondSeen;
    const delta = lead - this.#reportedLead;
    if (delta === 0) return;
    this.#onTimeSet(this.#secondSeen + this.#reportedLead, delta);
    this.#reportedLead = lead;
  }

  /** Updates calendar and flags to the present. */
  #sync(): void {
    const ticks = this.#ticks();
    if (ticks > this.#ticksSeen) this.#flags |= RtcInterrupt.PERIODIC;
    this.#ticksSeen = ticks;
    if (this.#isHalted()) return;
    const second = this.#second();
    const elapsed = second - this.#secondSeen;
    if (elapsed === 0) return;
    this.#secondSeen = second;
    // The host's wall time may step back. The calendar follows it, but that is not an update.
    if (elapsed > 0) {
      this.#flags |= RtcInterrupt.UPDATE;
      const alarm = secondsToAlarm(this.#cmos, this.#format());
      if (alarm !== undefined && alarm <= elapsed) this.#flags |= RtcInterrupt.ALARM;
    }
    advanceTime(this.#cmos, elapsed, this.#format());
  }

  /** Drives the line. Replaces the timer by one for the next event that would change the line. */
  #settle(): void {
    const isRaised = this.#isRaised();
    this.#interrupt.set(isRaised);
    this.close();
    const atMs = isRaised ? Infinity : this.#nextInterruptMs();
    if (atMs === Infinity) return;
    this.#timer = this.#clock.schedule(Math.max(atMs, this.#clock.now() + SHORTEST_DELAY_MS), () => {
      this.#sync();
      this.#settle();
    });
  }

  /** When the next enabled interrupt is due, in the clock's monotonic time. Infinity: never. */
  #nextInterruptMs(): number {
    const enabled = this.#registerB & ENABLES;
    const periodMs = this.#periodMs();
    let atMs = Infinity;
    if ((enabled & RtcInterrupt.PERIODIC) !== 0 && periodMs !== 0) {
      atMs = this.#dividerStartMs + (this.#ticksSeen + 1) * periodMs;
    }
    if (this.#isHalted()) return atMs;
    const updateMs = this.#clock.now() + this.#toUpdateMs();
    if ((enabled & RtcInterrupt.UPDATE) !== 0) atMs = Math.min(atMs, updateMs);
    if ((enabled & RtcInterrupt.ALARM) !== 0) {
      const alarm = secondsToAlarm(this.#cmos, this.#format());
      if (alarm !== undefined) atMs = Math.min(atMs, updateMs + (alarm - 1) * SECOND_MS);
    }
    return atMs;
  }
}
