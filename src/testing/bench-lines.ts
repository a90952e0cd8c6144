/**
 * BenchLines: interrupt lines that lead nowhere and remember what was done to them.
 *
 * Called by: deviceBench and cardBench, which hand the lines to the device.
 */

import type { InterruptLine } from '../device-model/device.js';

interface LineState {
  /** Outputs that drive it high. */
  high: number;
  rises: number;
}

export class BenchLines {
  /** Changes of level of all lines. */
  moves = 0;
  readonly #lines = new Map<number, LineState>();

  /** A new output to line `number`, which is high while one of its outputs is. */
  line(number: number): InterruptLine {
    const state = this.#lines.get(number) ?? { high: 0, rises: 0 };
    this.#lines.set(number, state);
    let level = false;
    return {
      set: (high) => {
        if (high === level) return;
        level = high;
        const before = state.high;
        state.high += high ? 1 : -1;
        if ((before === 0) === (state.high === 0)) return;
        this.moves++;
        if (high) state.rises++;
      },
    };
  }

  /** Of one line, or whether any is high. */
  level(number?: number): boolean {
    return this.#chosen(number).some(({ high }) => high > 0);
  }

  /** How often one line rose, or all of them together. */
  rises(number?: number): number {
    return this.#chosen(number).reduce((sum, { rises }) => sum + rises, 0);
  }

  #chosen(number: number | undefined): readonly LineState[] {
    if (number === undefined) return [...this.#lines.values()];
    const state = this.#lines.get(number);
    return state === undefined ? [] : [state];
  }
}
