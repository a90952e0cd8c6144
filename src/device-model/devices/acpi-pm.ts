/**
 * AcpiPm: ACPI's fixed power management hardware: power off, the power button, and the PM timer,
 * with which a guest calibrates its other clocks. 12 ports from 0x400 (acpi-pm-registers.ts).
 *
 * ACRN's device model accepts only accesses of a register's own width. The ACPI specification
 * allows bytes, and wider reads of the event block. So here an access may have any width and may
 * cover neighbours. 16-bit accesses behave the same in both. ACRN has no PM timer in this block,
 * and so no TMR bits.
 *
 * The SCI, ACPI's system control interrupt (global system interrupt 9), is a level: high while an
 * enabled status bit is set in ACPI mode.
 */

import { SavedState } from '../../io-request/saved-state.js';
import type { Clock, ClockTimer } from '../clock.js';
import { UNCONNECTED } from '../device.js';
import type { AccessSize, Device, InterruptLine, PowerControl } from '../device.js';
import { ACPI_PM_PORTS, ACPI_PM_REGISTERS, Pm1, Pm1Control, PmRegister } from './acpi-pm-registers.js';

/** ACPI Specification, section 4.8.3.3: 3.579545 MHz. */
export const PM_TIMER_HZ = 3_579_545;
const TICKS_PER_MS = PM_TIMER_HZ / 1000;

/**
 * Bits of PM1 status that the guest clears by writing 1: ACRN's mask 0x8710, and GBL and TMR, which
 * ACRN never sets.
 */
const CLEARABLE = Pm1.WAK | Pm1.RTC | Pm1.SLPBTN | Pm1.PWRBTN | Pm1.BM | Pm1.GBL | Pm1.TMR;
/** Bits of PM1 enable that the guest can write: ACRN's mask 0x0520, and TMR_EN. */
const ENABLES = Pm1.RTC | Pm1.PWRBTN | Pm1.GBL | Pm1.TMR;
/**
 * Bits of PM1 control that a write does not store, as in ACRN: SCI_EN (bit 0), which only the
 * firmware changes; BM_RLD (1), which has no effect here; SLP_EN (13), which reads as 0; the
 * reserved bits 14 and 15.
 */
const CONTROL_NOT_STORED = Pm1Control.SLP_EN | 0xc003;

/**
 * SLP_TYP that enters S5 (off). The `\_S5` object of the machine's DSDT must name the same number:
 * those of ACRN and of this project do.
 */
const SLEEP_TYPE_OFF = 5;

/** With a shorter delay, rounding could make a timer fire before its event, again and again. */
const SHORTEST_DELAY_MS = 0.001;

export interface AcpiPmOptions {
  readonly clock: Clock;
  readonly power: PowerControl;
  readonly sci?: InterruptLine;
  /** Width of the PM timer. The FADT's TMR_VAL_EXT flag must agree. Default: 32. */
  readonly timerBits?: 24 | 32;
  /**
   * Whether the machine starts in ACPI mode, for tables without an SMI command port. Default:
   * false, as in ACRN.
   */
  readonly startsInAcpiMode?: boolean;
}

export class AcpiPm implements Device {
  readonly name = 'acpi-pm';
  readonly registers = ACPI_PM_REGISTERS;
  readonly #clock: Clock;
  readonly #power: PowerControl;
  readonly #sci: InterruptLine;
  readonly #startControl: number;
  /** The timer's highest bit changes each time this many ticks have passed. */
  readonly #halfPeriod: number;
  #status = 0;
  #enable = 0;
  #control: number;
  #startMs: number;
  /** How often the highest bit had changed when TMR_STS was last updated. */
  #changesSeen = 0;
  #timer: ClockTimer | undefined;
  #refusedSleeps = 0;

  constructor(options: AcpiPmOptions) {
    this.#clock = options.clock;
    this.#power = options.power;
    this.#sci = options.sci ?? UNCONNECTED;
    this.#halfPeriod = 2 ** ((options.timerBits ?? 32) - 1);
    this.#startControl = options.startsInAcpiMode === true ? Pm1Control.SCI_EN : 0;
    this.#control = this.#startControl;
    this.#startMs = options.clock.now();
  }

  /**
   * How often the guest requested a sleeping state other than off since the last reset. This
   * machine has none.
   */
  get refusedSleeps(): number {
    return this.#refusedSleeps;
  }

  get isAcpiMode(): boolean {
    return (this.#control & Pm1Control.SCI_EN) !== 0;
  }

  /** The firmware's part when the guest writes to the SMI command port (acpi-smi-command.ts). */
  setAcpiMode(on: boolean): void {
    this.#control = (this.#control & ~Pm1Control.SCI_EN) | (on ? Pm1Control.SCI_EN : 0);
    this.#settle();
  }

  /**
   * Presses the power button. Returns false if the guest has not enabled its interrupt: then it
   * will not shut down.
   */
  pressPowerButton(): boolean {
    this.#status |= Pm1.PWRBTN;
    this.#settle();
    return this.isAcpiMode && (this.#enable & Pm1.PWRBTN) !== 0;
  }

  read(offset: number, size: AccessSize): number {
    this.#latchTimerStatus();
    // Once for the whole access: its bytes must be of the same moment.
    const ticks = this.#ticks();
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#byte(offset + i, ticks) << (8 * i);
    return value >>> 0;
  }

  /** Updates the timer's status bit for the peek only. */
  peek(offset: number, size: AccessSize): number {
    const [status, changes] = [this.#status, this.#changesSeen];
    const value = this.read(offset, size);
    [this.#status, this.#changesSeen] = [status, changes];
    return value;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#latchTimerStatus();
    for (const register of [PmRegister.STATUS, PmRegister.ENABLE, PmRegister.CONTROL]) {
      let written = 0;
      let mask = 0;
      for (let i = 0; i < size; i++) {
        const byteOfRegister = offset + i - register;
        // The registers have two bytes. Writes to the timer and past it are ignored.
        if (byteOfRegister !== 0 && byteOfRegister !== 1) continue;
        written |= ((value >>> (8 * i)) & 0xff) << (8 * byteOfRegister);
        mask |= 0xff << (8 * byteOfRegister);
      }
      if (mask !== 0) this.#writeRegister(register, written, mask);
    }
    this.#settle();
  }

  reset(): void {
    this.#status = 0;
    this.#enable = 0;
    this.#control = this.#startControl;
    this.#startMs = this.#clock.now();
    this.#changesSeen = 0;
    this.#refusedSleeps = 0;
    this.#settle();
  }

  save(): unknown {
    return {
      status: this.#status,
      enable: this.#enable,
      control: this.#control,
      startMs: this.#startMs,
      changesSeen: this.#changesSeen,
      refusedSleeps: this.#refusedSleeps,
    };
  }

  restore(state: unknown): void {
    const from = new SavedState(this.name, state);
    this.#status = from.integer('status', 0, 0xffff);
    this.#enable = from.integer('enable', 0, 0xffff) & ENABLES;
    this.#control = from.integer('control', 0, 0xffff);
    this.#startMs = from.number('startMs');
    this.#changesSeen = from.number('changesSeen');
    this.#refusedSleeps = from.integer('refusedSleeps', 0, Number.MAX_SAFE_INTEGER);
    this.#settle();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Writes the bytes of a 16-bit register that `mask` covers. `written` is 0 elsewhere. */
  #writeRegister(register: number, written: number, mask: number): void {
    if (register === PmRegister.STATUS) {
      this.#status &= ~(written & CLEARABLE);
    } else if (register === PmRegister.ENABLE) {
      this.#enable = (this.#enable & ~mask) | (written & ENABLES);
    } else {
      const kept = this.#control & (~mask | Pm1Control.SCI_EN);
      this.#control = kept | (written & ~CONTROL_NOT_STORED);
      if ((written & Pm1Control.SLP_EN) !== 0) this.#enterSleep();
    }
  }

  #enterSleep(): void {
    const type = (this.#control & Pm1Control.SLP_TYP) >>> Pm1Control.SLP_TYP_SHIFT;
    if (type === SLEEP_TYPE_OFF) {
      this.#power.powerOff('the guest entered the ACPI state S5');
      return;
    }
    // A guest that enters a sleeping state polls WAK_STS. So it wakes at once.
    this.#refusedSleeps++;
    this.#status |= Pm1.WAK;
  }

  #byte(offset: number, ticks: number): number {
    if (offset >= ACPI_PM_PORTS) return 0xff;
    const shift = 8 * (offset & 1);
    switch (offset & ~1) {
      case PmRegister.STATUS:
        return (this.#status >>> shift) & 0xff;
      case PmRegister.ENABLE:
        return (this.#enable >>> shift) & 0xff;
      case PmRegister.CONTROL:
        return (this.#control >>> shift) & 0xff;
      case PmRegister.TIMER:
      case PmRegister.TIMER + 2:
        return Math.floor((ticks % (2 * this.#halfPeriod)) / 2 ** (8 * (offset - PmRegister.TIMER))) & 0xff;
      default:
        // Ports 6 and 7 are the reserved upper half of a 4-byte control block.
        return 0;
    }
  }

  /** Ticks since the reset, not truncated to the width of the register. */
  #ticks(): number {
    return Math.max(0, Math.floor((this.#clock.now() - this.#startMs) * TICKS_PER_MS));
  }

  /** Sets TMR_STS if the timer's highest bit has changed since the last call. */
  #latchTimerStatus(): void {
    const changes = Math.floor(this.#ticks() / this.#halfPeriod);
    if (changes > this.#changesSeen) this.#status |= Pm1.TMR;
    this.#changesSeen = changes;
  }

  /**
   * Drives the line as the registers demand. Replaces the timer: one runs only if the PM timer
   * could change the line.
   */
  #settle(): void {
    const pending = this.isAcpiMode && (this.#status & this.#enable) !== 0;
    this.#sci.set(pending);
    this.close();
    if (pending || !this.isAcpiMode || (this.#enable & Pm1.TMR) === 0) return;
    const nextMs = this.#startMs + ((this.#changesSeen + 1) * this.#halfPeriod) / TICKS_PER_MS;
    this.#timer = this.#clock.schedule(Math.max(nextMs, this.#clock.now() + SHORTEST_DELAY_MS), () => {
      this.#latchTimerStatus();
      this.#settle();
    });
  }
}
