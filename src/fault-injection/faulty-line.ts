/**
 * FaultyLine: an interrupt line whose rising edges go wrong as the rules say. Falling edges pass, so that a line which lost
 * its edge is low again with the next one.
 */

import type { InterruptLine } from '../device-model/device.js';
import type { FaultInjection } from './fault-injection.js';

export class FaultyLine implements InterruptLine {
  readonly #gsi: number;
  readonly #line: InterruptLine;
  readonly #faults: Pick<FaultInjection, 'lineHits' | 'later'>;
  /** As the device drives it. */
  #isHigh = false;

  constructor(gsi: number, line: InterruptLine, faults: Pick<FaultInjection, 'lineHits' | 'later'>) {
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
    for (const way of this.#faults.lineHits(this.#gsi)) {
      if (way.kind === 'lose') isLost = true;
      else if (way.kind === 'delay') delayMs += way.ms;
      else this.#faults.later(way.ms, () => this.#edge());
    }
    if (isLost) return;
    if (delayMs === 0) this.#line.set(true);
    else this.#faults.later(delayMs, () => this.#edge());
  }

  /** A rising edge whatever the line is; afterwards it is where its device has it. */
  #edge(): void {
    this.#line.set(false);
    this.#line.set(true);
    if (!this.#isHigh) this.#line.set(false);
  }
}
