/**
 * BenchLines: interrupt lines that lead nowhere and remember what was done to them.
 *
 * Called by: deviceBench and cardBench, which hand the lines to the device.
 */

import type { InterruptLine } from '../device-model/device.js';

interface LineState {
  level: boolean;
  rises: number;
}

export class BenchLines {
  /** Changes of level of all lines. */
  moves = 0;
  readonly #lines = new Map<number, LineState>();

  /** Line `number`: outputs of a device to the same line share its level, the last one counts. */
  line(number: number): InterruptLine {
    const state = this.#lines.get(number) ?? { level: false, rises: 0 };
    this.#lines.set(number, state);
    return {
      set: (high) => {
        if (high === state.level) return;
        state.level = high;
        this.moves++;
        if (high) state.rises++;
      },
    };
  }

  /** Of one line, or whether any is high. */
  level(number?: number): boolean {
    return this.#chosen(number).some(({ level }) => level);
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
