/**
 * SharedOutputs: the interrupt outputs of a reloaded device, one for each line, which all its
 * generations drive in turn. Where the old and the new generation hold a line high, it stays high
 * at the exchange. An output of its own for each generation would also grow the VM with each
 * reload.
 *
 * Called by: reload-device.ts, which creates it; gated-context.ts, for each generation.
 */

import type { InterruptLine } from '../device.js';

interface SharedOutput {
  readonly line: InterruptLine;
  /** How many outputs of generations hold it high. */
  high: number;
}

export class SharedOutputs {
  readonly #create: (gsi: number) => InterruptLine;
  readonly #outputs = new Map<number, SharedOutput>();

  /** `create`: makes an output of the VM. It throws LINE_INVALID. */
  constructor(create: (gsi: number) => InterruptLine) {
    this.#create = create;
  }

  /** A new output to line `gsi`, low at first. Throws LINE_INVALID. */
  output(gsi: number): InterruptLine {
    const known = this.#outputs.get(gsi);
    const shared = known ?? { line: this.#create(gsi), high: 0 };
    this.#outputs.set(gsi, shared);
    let isHigh = false;
    return {
      set: (high) => {
        if (high === isHigh) return;
        isHigh = high;
        shared.high += high ? 1 : -1;
        shared.line.set(shared.high > 0);
      },
    };
  }
}
