/**
 * AcpiPm: power management as ACPI's fixed hardware has it: power off, the power button, and the PM timer, by which a
 * guest measures its other clocks. 12 ports from 0x400 (acpi-pm-registers.ts).
 *
 * ACRN's device model accepts only accesses of a register's own width. The ACPI specification allows bytes (and wider
 * reads of the event block), so here an access may have any width and may cover neighbours; the 16-bit ones do the same
 * in both. ACRN has no PM timer in this block, hence no TMR bits.
 *
 * The SCI (global system interrupt 9) is a level: high while an enabled status bit is set in ACPI mode.
 */

import type { Clock, ClockTimer } from '../clock.js';
import { UNCONNECTED } from '../device.js';
import type { AccessSize, Device, InterruptLine, PowerControl } from '../device.js';
import { ACPI_PM_PORTS, ACPI_PM_REGISTERS, Pm1, Pm1Control, PmRegister } from './acpi-pm-registers.js';

/** ACPI Specification, section 4.8.3.3: 3.579545 MHz. */
export const PM_TIMER_HZ = 3_579_545;
const TICKS_PER_MS = PM_TIMER_HZ / 1000;

/** ACRN's mask 0x8710, and the two bits that it has no source for. */
const CLEARABLE = Pm1.WAK | Pm1.RTC | Pm1.SLPBTN | Pm1.PWRBTN | Pm1.BM | Pm1.GBL | Pm1.TMR;
/** ACRN's mask 0x0520, and TMR_EN. */
const ENABLES = Pm1.RTC | Pm1.PWRBTN | Pm1.GBL | Pm1.TMR;
/** ACRN clears SLP_EN and these when it stores PM1 control: SCI_EN is not the guest's to write, 14 and 15 are reserved. */
const CONTROL_NOT_STORED = Pm1Control.SLP_EN | 0xc003;

/** SLP_TYP of S5 in the `\_S5` object of ACRN's tables; ours must say the same. */
const SLEEP_TYPE_OFF = 5;

/** Rounding must not make a timer that fires before its own event, again and again. */
const SHORTEST_DELAY_MS = 0.001;

export interface AcpiPmOptions {
  readonly clock: Clock;
  readonly power: PowerControl;
  readonly sci?: InterruptLine;
  /** 32 unless given; the FADT's TMR_VAL_EXT flag must say the same. */
  readonly timerBits?: 24 | 32;
  /** Whether the machine comes up in ACPI mode, for tables without an SMI command port. As a rule (and in ACRN) not. */
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
  /** How often the highest bit had changed when TMR_STS was last brought up to date. */
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

  /** How often the guest asked for a sleeping state other than off, which this machine does not have. */
  get refusedSleeps(): number {
    return this.#refusedSleeps;
  }

  get isAcpiMode(): boolean {
    return (this.#control & Pm1Control.SCI_EN) !== 0;
  }

  /** What the firmware does when the guest writes to the SMI command port (acpi-smi-command.ts). */
  setAcpiMode(on: boolean): void {
    this.#control = (this.#control & ~Pm1Control.SCI_EN) | (on ? Pm1Control.SCI_EN : 0);
    this.#settle();
  }

  /** The operator presses the button. False: the guest has not asked to be told, so do not wait for it to shut down. */
  pressPowerButton(): boolean {
    this.#status |= Pm1.PWRBTN;
    this.#settle();
    return this.isAcpiMode && (this.#enable & Pm1.PWRBTN) !== 0;
  }

  read(offset: number, size: AccessSize): number {
    this.#latchTimerStatus();
    // Once for the whole access, or the bytes would come from different moments.
    const ticks = this.#ticks();
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#byte(offset + i, ticks) << (8 * i);
    return value >>> 0;
  }

  /** The timer's status bit is brought to the present for the look only. */
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
        const lane = offset + i - register;
        if (lane !== 0 && lane !== 1) continue;
        written |= ((value >>> (8 * i)) & 0xff) << (8 * lane);
        mask |= 0xff << (8 * lane);
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

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** `mask` has the bytes that the access reaches; `written` is 0 elsewhere. */
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
    // A guest that enters a state looks for WAK_STS until it is set: so it wakes at once, and goes on.
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
        return 0;
    }
  }

  /** Since the reset, not cut to the width of the register. */
  #ticks(): number {
    return Math.max(0, Math.floor((this.#clock.now() - this.#startMs) * TICKS_PER_MS));
  }

  #latchTimerStatus(): void {
    const changes = Math.floor(this.#ticks() / this.#halfPeriod);
    if (changes > this.#changesSeen) this.#status |= Pm1.TMR;
    this.#changesSeen = changes;
  }

  /** Brings the line to where the registers say, and waits for the PM timer only if it could change that. */
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
