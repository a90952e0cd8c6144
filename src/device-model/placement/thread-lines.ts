/**
 * ThreadLines: the interrupt outputs of a device in a thread of its own, seen from the Service VM.
 * The thread drives them under a number of its own, so that they can be lowered when it has ended,
 * for whatever reason.
 *
 * Called by: ThreadClient.
 */

import { LINE_DRIVERS, type InterruptLines } from '../../hypervisor/interrupt-lines.js';
import { UpcallError } from '../../io-request/upcall-error.js';

export class ThreadLines {
  readonly #lines: InterruptLines;
  #driver: number | undefined;

  constructor(lines: InterruptLines) {
    this.#lines = lines;
  }

  /** The number under which the thread of device `name` drives the lines. Throws VM_LIMIT. */
  connect(name: string): number {
    this.#driver = this.#lines.addDriver();
    if (this.#driver === undefined)
      throw new UpcallError('VM_LIMIT', `device ${name}: a VM's interrupt lines have at most ${LINE_DRIVERS} drivers`, {
        remedy: "Run some devices in the Service VM's thread",
      });
    return this.#driver;
  }

  /** The thread has ended, or did not start. */
  disconnect(): void {
    if (this.#driver !== undefined) this.#lines.removeDriver(this.#driver);
    this.#driver = undefined;
  }
}
