/**
 * I8259Pair: the two 8259s of a PC. The second chip's output is pin 2 of the first.
 *
 * Called by: InterruptControllers.
 * Threads: the vCPU's.
 *
 * As in ACRN, global system interrupts 0 to 15 are the pins of that number, and global system
 * interrupt 2 is pin 0, where the timer is: pin 2 is taken. Two interrupts on one pin are wired-OR.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { I8259, NO_REQUEST } from './i8259.js';

export const PAIR_PINS = 16;
const PINS_EACH = 8;
const CASCADE_PIN = 2;
const TIMER_PIN = 0;
const TIMER_GSI = 2;
const TIMER_GSIS = (1 << TIMER_GSI) | (1 << TIMER_PIN);
/**
 * Bits of the edge/level control registers that exist. The timer, the keyboard and the cascade, and
 * the clock and the coprocessor of the second chip, are always edges.
 */
const FIRST_LEVEL_PINS = 0xf8;
const SECOND_LEVEL_PINS = 0xde;

export class I8259Pair {
  readonly first: I8259;
  readonly second: I8259;
  #gsis = 0;
  /** Which of the two global system interrupts at the timer's pin was set high last. */
  #timerGsi = TIMER_GSI;

  /** `onEnd`: the interrupt of a global system interrupt has ended. */
  constructor(onEnd: (gsi: number) => void = () => undefined) {
    this.first = new I8259({
      cascadePin: CASCADE_PIN,
      levelPins: FIRST_LEVEL_PINS,
      onEnd: (pin) => {
        if (pin !== CASCADE_PIN) onEnd(pin === TIMER_PIN ? this.#timerGsi : pin);
      },
    });
    this.second = new I8259({ levelPins: SECOND_LEVEL_PINS, onEnd: (pin) => onEnd(PINS_EACH + pin) });
  }

  /** `gsi`: 0…15. */
  setLine(gsi: number, high: boolean): void {
    this.#gsis = high ? this.#gsis | (1 << gsi) : this.#gsis & ~(1 << gsi);
    const isTimer = (TIMER_GSIS & (1 << gsi)) !== 0;
    if (isTimer && high) this.#timerGsi = gsi;
    if (isTimer) this.first.setPin(TIMER_PIN, (this.#gsis & TIMER_GSIS) !== 0);
    else if (gsi < PINS_EACH) this.first.setPin(gsi, high);
    else this.second.setPin(gsi - PINS_EACH, high);
    this.#cascade();
  }

  /** The INTR output: there is a request for the CPU. */
  get output(): boolean {
    return this.first.pending !== NO_REQUEST;
  }

  /** The CPU's acknowledge cycle. Returns the vector, or NO_REQUEST. */
  acknowledge(): number {
    const pin = this.first.acknowledge();
    if (pin !== CASCADE_PIN) return pin === NO_REQUEST ? NO_REQUEST : this.first.vectorOf(pin);
    const second = this.second.acknowledge();
    this.#cascade();
    return second === NO_REQUEST ? NO_REQUEST : this.second.vectorOf(second);
  }

  read(chip: I8259, isOdd: boolean): number {
    const value = chip.read(isOdd);
    this.#cascade();
    return value;
  }

  write(chip: I8259, isOdd: boolean, value: number): void {
    chip.write(isOdd, value);
    this.#cascade();
  }

  writeLevelControl(chip: I8259, value: number): void {
    chip.levelControl = value;
    this.#cascade();
  }

  save(): unknown {
    const [first, second] = [this.first.save(), this.second.save()];
    return { first, second, gsis: this.#gsis, timerGsi: this.#timerGsi };
  }

  restore(state: unknown): void {
    const from = new SavedState('i8259 pair', state);
    this.first.restore(from.value('first'));
    this.second.restore(from.value('second'));
    this.#gsis = from.integer('gsis', 0, 0xffff);
    this.#timerGsi = from.oneOf('timerGsi', [TIMER_PIN, TIMER_GSI]);
  }

  #cascade(): void {
    this.first.setPin(CASCADE_PIN, this.second.pending !== NO_REQUEST);
  }
}
