/**
 * InterruptLines: the input pins of a User VM's interrupt controllers, driven from any thread.
 *
 * A line is wired-OR: it is high while one of its outputs is. A driver is a party with one output
 * to each line: the ioctl SET_IRQLINE, the Service VM's thread for all of its devices together
 * (DeviceLines joins theirs), or the own thread of a device. The outputs of a driver that is
 * removed become low. (An owner is a device by name, for the operator:
 * device-model/line-owners.ts.)
 *
 * A word for each line: a bit for the output of each driver, and one that says that the line rose
 * since the vCPU's thread, which owns the controllers, took the lines last. However short a pulse,
 * its edge is not lost, and several edges between two polls are one, as in an 8259's request
 * register. No queue, hence no overflow.
 *
 * Called by: DeviceLines and ThreadLines for devices, ThreadedVm for SET_IRQLINE; the vCPU's
 * program or LinePins, which deliver; VmInterrupts, which shows them.
 * Threads: each thread has an object of its own over the same words. In a VM with several vCPUs,
 * vCPU 0 has the controllers.
 *
 * Two drivers may change a line at once, so each change is a compare-and-exchange of its word: only
 * the one that raises the line notes the rise, and none undoes the other's bit.
 */

import { SavedState } from '../io-request/saved-state.js';
import type { Doorbell } from '../sync/doorbell.js';
import { SharedWords } from '../sync/shared-words.js';
import { INTERRUPT_LANE_WORDS, InterruptKind, InterruptLane } from '../trace/interrupt-lane.js';
import type { LinePins, PinLevels } from './line-pins.js';

/**
 * Global system interrupts of an ACRN User VM: the pins of its virtual IO-APIC. No hypervisor has
 * more.
 */
export const INTERRUPT_LINES = 48;

// Indices of words. The words of the lines come first.
const CHANGED = INTERRUPT_LINES;
const DRIVERS = INTERRUPT_LINES + 2;
/** 1: rises are counted. */
const IS_COUNTING = DRIVERS + 1;
/** 1: the controllers report ends of interrupts. */
const SEES_ENDS = IS_COUNTING + 1;
const RISES = SEES_ENDS + 1;
const ENDS = RISES + INTERRUPT_LINES;
const TRACE = ENDS + INTERRUPT_LINES;
/**
 * Words that the lines take: the lines, two with a bit for each line that changed, one with a bit
 * for each driver that was added, the counters of rises and of ends with their switches, and the
 * trace.
 */
export const INTERRUPT_LINE_WORDS = TRACE + INTERRUPT_LANE_WORDS;

/** HC_SET_IRQLINE's operations. */
export const IrqLineOperation = { HIGH: 0, LOW: 1, RAISING_PULSE: 2, FALLING_PULSE: 3 } as const;

/** The drivers that every VM has. Those that are added follow. */
export const LineDriver = { HYPERCALL: 0, SERVICE_VM: 1 } as const;
const FIRST_ADDED = 2;
/** Drivers of a VM, at most. The remaining bit of a line's word is ROSE. */
export const LINE_DRIVERS = 31;
const OUTPUTS = 0x7fff_ffff;
const ROSE = 1 << 31;

/**
 * The controllers' side, in the vCPU's thread. The calls give each pin's level and its edges in
 * their order. `line`: 0 to INTERRUPT_LINES − 1.
 */
export interface InterruptController {
  raise(line: number): void;
  lower(line: number): void;
}

export class InterruptLines {
  /** Changes of lines, ends and messages, while a reader wants them. */
  readonly trace: InterruptLane;
  readonly #words: SharedWords;
  readonly #vcpu: Doorbell;
  readonly #pins: LinePins | undefined;
  /** The level that each of the controllers' pins has. Used only in the thread that delivers. */
  readonly #levels = new OwnLevels();

  /**
   * `vcpu` is rung after each change of a line's level: a halted vCPU wakes, a running one polls at
   * its next trap or slice. `pins`: those of controllers that are not a vCPU's; no vCPU is rung.
   */
  constructor(buffer: SharedArrayBuffer, vcpu: Doorbell, pins?: LinePins) {
    this.#words = new SharedWords(buffer);
    this.trace = new InterruptLane(this.#words, TRACE);
    this.#vcpu = vcpu;
    this.#pins = pins;
  }

  /** Lines 0 to `count` − 1 have a pin. Others are refused where a device or program gets one. */
  get count(): number {
    return this.#pins?.count ?? INTERRUPT_LINES;
  }

  /**
   * Drives the output of `driver` to `line`, from any thread. A line number that does not exist is
   * ignored, as an unconnected pin is. `owner`: the number that LineOwners gave to the device, for
   * the trace.
   */
  set(line: number, high: boolean, driver: number = LineDriver.HYPERCALL, owner = 0): void {
    if (!(line >= 0 && line < this.count)) return;
    const bit = 1 << driver;
    for (;;) {
      const word = this.#words.load(line);
      if (((word & bit) !== 0) === high) return;
      const next = high ? word | bit | ((word & OUTPUTS) === 0 ? ROSE : 0) : word & ~bit;
      if (!this.#words.move(line, word, next)) continue;
      // Another output holds the line.
      if ((word & OUTPUTS & ~bit) !== 0) return;
      break;
    }
    if (high && this.#words.loadRelaxed(IS_COUNTING) !== 0) this.#words.add(RISES + line, 1);
    this.trace.record(high ? InterruptKind.RAISED : InterruptKind.LOWERED, line, owner, driver);
    this.#words.or(CHANGED + (line >>> 5), 1 << (line & 31));
    if (this.#pins === undefined) this.#vcpu.ring();
    else this.#pins.follow(this, driver);
  }

  pulse(line: number, driver: number = LineDriver.HYPERCALL): void {
    this.set(line, true, driver);
    this.set(line, false, driver);
  }

  /** Returns the number of a new driver, or undefined if there are LINE_DRIVERS already. */
  addDriver(): number | undefined {
    for (;;) {
      const word = this.#words.load(DRIVERS);
      let driver = FIRST_ADDED;
      while (driver < LINE_DRIVERS && (word & (1 << driver)) !== 0) driver++;
      if (driver === LINE_DRIVERS) return undefined;
      if (this.#words.move(DRIVERS, word, word | (1 << driver))) return driver;
    }
  }

  /** The driver's thread must have ended: its number may have another driver from now on. */
  removeDriver(driver: number): void {
    this.#pins?.release(this, driver);
    for (let line = 0; line < INTERRUPT_LINES; line++) this.set(line, false, driver);
    this.#words.and(DRIVERS, ~(1 << driver));
  }

  level(line: number): boolean {
    return (this.#words.load(line) & OUTPUTS) !== 0;
  }

  /** From now on rises are counted. A VM in which they are not pays a load for each rise. */
  countRises(): void {
    this.#words.store(IS_COUNTING, 1);
  }

  get isCounting(): boolean {
    return this.#words.load(IS_COUNTING) !== 0;
  }

  /** Times that line `line` rose since `countRises`: a u32 that wraps. */
  rises(line: number): number {
    return this.#words.load(RISES + line) >>> 0;
  }

  /** The drivers that hold line `line` high: a bit for each. */
  drivers(line: number): number {
    return this.#words.load(line) & OUTPUTS;
  }

  /** From now on the controllers report each end of an interrupt by `end`. */
  observeEnds(): void {
    this.#words.store(SEES_ENDS, 1);
  }

  /** In the vCPU's thread: the guest has ended (EOI) the interrupt of line `line`. */
  end(line: number): void {
    if (this.#words.loadRelaxed(IS_COUNTING) !== 0) this.#words.add(ENDS + line, 1);
    this.trace.record(InterruptKind.ENDED, line, 0, 0);
  }

  /**
   * How often the guest has ended the line's interrupt since `countRises`: a u32 that wraps.
   * Undefined if the controllers do not report it.
   */
  ends(line: number): number | undefined {
    return this.#words.load(SEES_ENDS) === 0 ? undefined : this.#words.load(ENDS + line) >>> 0;
  }

  /** Whether a line changed since the last `deliver`. */
  get changed(): boolean {
    return (this.#words.load(CHANGED) | this.#words.load(CHANGED + 1)) !== 0;
  }

  /** The same by two plain loads, for the vCPU's inner loop. */
  get relaxedChanged(): boolean {
    return (this.#words.loadRelaxed(CHANGED) | this.#words.loadRelaxed(CHANGED + 1)) !== 0;
  }

  /** In the vCPU's thread: sets the controllers' pins to the lines' levels, with their edges. */
  deliver(controller: InterruptController, levels: PinLevels = this.#levels): void {
    for (let half = 0; half < 2; half++) {
      let bits = this.#words.exchange(CHANGED + half, 0);
      while (bits !== 0) {
        const line = half * 32 + 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const word = this.#words.and(line, ~ROSE);
        const wasHigh = levels.isHigh(line);
        const isHigh = (word & OUTPUTS) !== 0;
        levels.put(line, isHigh);
        if ((word & ROSE) !== 0) {
          if (wasHigh) controller.lower(line);
          controller.raise(line);
          if (!isHigh) controller.lower(line);
        } else if (wasHigh && !isHigh) controller.lower(line);
      }
    }
  }

  /**
   * In the vCPU's thread, after a reset of the controllers, whose pins are all low: lines that are
   * high count as just raised, and earlier edges are forgotten.
   */
  resync(): void {
    this.#levels.restore([]);
    for (let line = 0; line < INTERRUPT_LINES; line++) {
      if (!this.level(line)) this.#words.and(line, ~ROSE);
      else {
        this.#words.or(line, ROSE);
        this.#words.or(CHANGED + (line >>> 5), 1 << (line & 31));
      }
    }
  }

  /** For LinePins: each pin is compared with its line, and lines that are high rise once more. */
  changeAll(): void {
    this.resync();
    this.#allChanged();
  }

  /** In the vCPU's thread: the controllers were restored, with pins of these levels. */
  restorePins(levels: readonly number[]): void {
    this.#levels.restore(levels);
  }

  /**
   * While no vCPU takes lines: those that SET_IRQLINE holds high, and those that rose since the
   * vCPU took the lines. The outputs of devices are theirs to save.
   */
  save(): unknown {
    const all = Array.from({ length: INTERRUPT_LINES }, (_, line) => line);
    const word = (line: number): number => this.#words.load(line);
    return {
      held: all.filter((line) => (word(line) & (1 << LineDriver.HYPERCALL)) !== 0),
      risen: all.filter((line) => (word(line) & ROSE) !== 0),
    };
  }

  /**
   * Before the vCPU runs, after each device has restored its outputs: the guest gets no interrupt
   * of that.
   */
  restore(state: unknown): void {
    const from = new SavedState('interrupt lines', state);
    for (const line of from.integersUpTo('held', INTERRUPT_LINES, 0, INTERRUPT_LINES - 1)) this.set(line, true);
    const risen = from.integersUpTo('risen', INTERRUPT_LINES, 0, INTERRUPT_LINES - 1);
    for (let line = 0; line < INTERRUPT_LINES; line++) {
      if (risen.includes(line)) this.#words.or(line, ROSE);
      else this.#words.and(line, ~ROSE);
    }
    // The vCPU compares each line with its pin.
    this.#allChanged();
  }

  #allChanged(): void {
    this.#words.store(CHANGED, -1);
    this.#words.store(CHANGED + 1, (1 << (INTERRUPT_LINES - 32)) - 1);
  }
}

/** Levels of pins that one thread has for itself. */
class OwnLevels implements PinLevels {
  readonly #levels = new Uint8Array(INTERRUPT_LINES);

  isHigh(line: number): boolean {
    return this.#levels[line] === 1;
  }

  put(line: number, high: boolean): void {
    this.#levels[line] = high ? 1 : 0;
  }

  restore(levels: readonly number[]): void {
    this.#levels.fill(0);
    this.#levels.set(levels);
  }
}
