/**
 * DeviceLines: the interrupt outputs of the devices that one driver of the lines has: those in the
 * Service VM's thread, or the one in a thread of its own.
 *
 * Called by: Attachments (vm/attachments.ts), and the thread of a device. Both hand the outputs to
 * devices.
 * Threads: one for each object. InterruptLines joins them.
 *
 * Each output has a level of its own. Outputs to the same line are wired-OR: it is high while one
 * of them is.
 */

import { INTERRUPT_LINES, type InterruptLines } from '../hypervisor/interrupt-lines.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { InterruptLine } from './device.js';
import { NAMELESS, type LineOwner } from './line-owners.js';

/** Observer of the outputs. LineOwners is one. */
export interface OutputObserver {
  /** An output of `owner` to line `gsi` was made, which is low. Returns the owner's number. */
  add(gsi: number, owner: LineOwner | undefined): number;
  /** An output of owner number `owner` has changed its level. */
  changed(gsi: number, owner: number, high: boolean): void;
}

const UNOBSERVED: OutputObserver = { add: () => NAMELESS, changed: () => undefined };

export class DeviceLines {
  readonly #lines: InterruptLines;
  readonly #driver: number;
  readonly #observer: OutputObserver;
  /** For each line the number of this object's outputs that are high. */
  readonly #high = new Uint32Array(INTERRUPT_LINES);

  /**
   * `driver`: the number of this object among those that drive `lines`: LineDriver.SERVICE_VM, or
   * one of its own for a device's thread. A line is high while one of its drivers sets it.
   */
  constructor(lines: InterruptLines, driver: number, observer: OutputObserver = UNOBSERVED) {
    this.#lines = lines;
    this.#driver = driver;
    this.#observer = observer;
  }

  /**
   * A new output to line `gsi`, low at first. `owner`: the device that drives it, for the operator.
   * Throws LINE_INVALID if there is no such line.
   */
  output(gsi: number, owner?: LineOwner): InterruptLine {
    const { count } = this.#lines;
    if (!Number.isInteger(gsi) || gsi < 0 || gsi >= count)
      throw new UpcallError('LINE_INVALID', `interrupt line ${gsi} does not exist`, {
        remedy: `Lines are 0 to ${count - 1}`,
      });
    const number = this.#observer.add(gsi, owner);
    let isHigh = false;
    return {
      set: (high) => {
        if (high === isHigh) return;
        isHigh = high;
        const highs = (this.#high[gsi] as number) + (high ? 1 : -1);
        this.#high[gsi] = highs;
        this.#observer.changed(gsi, number, high);
        this.#lines.set(gsi, highs > 0, this.#driver, number);
      },
    };
  }
}
