/**
 * InterruptLines: the input pins of a User VM's interrupt controllers, driven from any thread.
 *
 * A word for each line: bit 0 is its level, the other bits count rising edges. The vCPU's thread,
 * which owns the controllers, compares with the words of its last poll. However short a pulse, its
 * edge is not lost, and several edges between two polls are one, as in an 8259's request register.
 * No queue, hence no overflow.
 */

import type { Doorbell } from '../sync/doorbell.js';
import { SharedWords } from '../sync/shared-words.js';

/** Global system interrupts of an ACRN User VM: the pins of its virtual IO-APIC. */
export const INTERRUPT_LINES = 48;

/** Words that the lines take: the lines, then a bitmap of those that changed. */
export const INTERRUPT_LINE_WORDS = INTERRUPT_LINES + 2;

/** HC_SET_IRQLINE's operations. */
export const IrqLineOperation = { HIGH: 0, LOW: 1, RAISING_PULSE: 2, FALLING_PULSE: 3 } as const;

const LEVEL = 1;
const ONE_EDGE = 2;

/** The controllers' side, in the vCPU's thread. */
export interface InterruptController {
  raise(line: number): void;
  lower(line: number): void;
}

export class InterruptLines {
  readonly #words: SharedWords;
  readonly #vcpu: Doorbell;
  readonly #seen = new Int32Array(INTERRUPT_LINES);

  /**
   * `vcpu` is rung after each change: a halted vCPU wakes, a running one polls at its next trap or
   * slice.
   */
  constructor(buffer: SharedArrayBuffer, vcpu: Doorbell) {
    this.#words = new SharedWords(buffer);
    this.#vcpu = vcpu;
  }

  /** From any thread. A line number that does not exist is ignored, as an unconnected pin is. */
  set(line: number, high: boolean): void {
    if (!(line >= 0 && line < INTERRUPT_LINES)) return;
    for (;;) {
      const word = this.#words.load(line);
      if (((word & LEVEL) !== 0) === high) return;
      const next = high ? (word + ONE_EDGE) | LEVEL | 0 : word & ~LEVEL;
      if (this.#words.move(line, word, next)) break;
    }
    this.#words.or(INTERRUPT_LINES + (line >>> 5), 1 << (line & 31));
    this.#vcpu.ring();
  }

  pulse(line: number): void {
    this.set(line, true);
    this.set(line, false);
  }

  level(line: number): boolean {
    return (this.#words.load(line) & LEVEL) !== 0;
  }

  /** Whether a line changed since the last `deliver`. */
  get changed(): boolean {
    return (this.#words.load(INTERRUPT_LINES) | this.#words.load(INTERRUPT_LINES + 1)) !== 0;
  }

  /** The same by two plain loads, for the vCPU's inner loop. */
  get relaxedChanged(): boolean {
    return (this.#words.loadRelaxed(INTERRUPT_LINES) | this.#words.loadRelaxed(INTERRUPT_LINES + 1)) !== 0;
  }

  /** In the vCPU's thread: sets the controllers' pins to the lines' levels, with their edges. */
  deliver(controller: InterruptController): void {
    for (let half = 0; half < 2; half++) {
      let bits = this.#words.exchange(INTERRUPT_LINES + half, 0);
      while (bits !== 0) {
        const line = half * 32 + 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const before = this.#seen[line] as number;
        const now = this.#words.load(line);
        this.#seen[line] = now;
        const edge = (before ^ now) & ~LEVEL;
        if (edge !== 0) {
          if ((before & LEVEL) !== 0) controller.lower(line);
          controller.raise(line);
        }
        if ((now & LEVEL) === 0) controller.lower(line);
      }
    }
  }

  /**
   * After a reset of the controllers, whose pins are all low: lines that are high count as just
   * raised.
   */
  resync(): void {
    this.#seen.fill(0);
    for (let line = 0; line < INTERRUPT_LINES; line++) {
      if (this.level(line)) this.#words.or(INTERRUPT_LINES + (line >>> 5), 1 << (line & 31));
      else this.#seen[line] = this.#words.load(line);
    }
  }
}
