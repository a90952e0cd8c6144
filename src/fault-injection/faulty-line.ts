/**
 * FaultyLine: an interrupt line whose rising edges fail as the rules say. Falling edges pass, so
 * that a line that lost an edge can rise again.
 *
 * Called by: devices and ioctls that drive the line, in the Service VM's thread. Lines of a device
 * in another thread come through its relay (line-relay.ts).
 */

import type { InterruptLine } from '../device-model/device.js';
import type { LineFault } from './fault-rule.js';

/** What the lines of a VM use of its FaultInjection. */
export interface LineFaults {
  /** The ways in which this rising edge goes wrong. Counts and emits them. */
  lineHits(gsi: number): LineFault['effect'][];
  later(ms: number, callback: () => void): void;
}

export class FaultyLine implements InterruptLine {
  readonly #gsi: number;
  readonly #line: InterruptLine;
  readonly #faults: LineFaults;
  /** The level that the device drives. */
  #isHigh = false;

  constructor(gsi: number, line: InterruptLine, faults: LineFaults) {
    this.#gsi = gsi;
    this.#line = line;
    this.#faults = faults;
  }

  set(high: boolean): void {
    if (high === this.#isHigh) return;
    this.#isHigh = high;
    if (!high) {
      this.#line.set(false);
      return;
    }
    let delayMs = 0;
    let isLost = false;
    for (const effect of this.#faults.lineHits(this.#gsi)) {
      if (effect.kind === 'lose') isLost = true;
      else if (effect.kind === 'delay') delayMs += effect.ms;
      else this.#faults.later(effect.ms, () => this.#edge());
    }
    if (isLost) return;
    if (delayMs === 0) this.#line.set(true);
    else this.#faults.later(delayMs, () => this.#edge());
  }

  /** A rising edge from any level. Afterwards the line has the level that the device drives. */
  #edge(): void {
    this.#line.set(false);
    this.#line.set(true);
    if (!this.#isHigh) this.#line.set(false);
  }
}
