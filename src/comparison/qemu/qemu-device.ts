/**
 * QemuDevice: one device of a QEMU machine, as the reference of a comparison.
 *
 * Called by: Comparison; cli/commands/compare.ts creates it.
 */

import type { DeviceUnderComparison, Observation } from '../device-under-comparison.js';
import type { Step } from '../step.js';
import { decodeRecords, encodeSteps } from './player.js';
import type { QemuMachine } from './qemu-machine.js';

export class QemuDevice implements DeviceUnderComparison {
  readonly name = 'qemu';
  readonly #machine: QemuMachine;
  readonly #port: number;
  readonly #line: number | undefined;

  /** `port`: that of offset 0. `line`: the device's interrupt, undefined if it has none. */
  constructor(machine: QemuMachine, port: number, line?: number) {
    this.#machine = machine;
    this.#port = port;
    this.#line = line;
  }

  /**
   * The guest makes the steps as fast as it can, so `times` must be undefined. A machine plays one
   * list at a time. Rejects with TOOL_FAILED, and with RangeError for more than MAX_STEPS steps.
   */
  async play(steps: readonly Step[]): Promise<readonly Observation[]> {
    const { records, changes, highBefore } = await this.#machine.play(encodeSteps(steps, this.#port), steps.length);
    const ofLine = changes.filter(({ line }) => line === this.#line);
    let next = 0;
    let level = this.#line !== undefined && highBefore.has(this.#line);
    let rises = 0;
    const decoded = decodeRecords(records, steps);
    const startNs = decoded[0]?.timeNs ?? 0;
    // A change belongs to the step in which it came. The guest pulses MARK_LINE after each step,
    // and `stepsBefore` counts the pulses before the change.
    return decoded.map(({ timeNs, value }, index) => {
      for (; next < ofLine.length && (ofLine[next]?.stepsBefore ?? 0) <= index; next++) {
        level = ofLine[next]?.high ?? false;
        if (level) rises++;
      }
      return { value, timeNs: timeNs - startNs, level, rises };
    });
  }

  /** The machine belongs to the caller. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
