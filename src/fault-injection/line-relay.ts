/**
 * LineRelay: passes the interrupt lines of a device in another thread through the Service VM's
 * thread, where rules can apply to them. The device drives lines in shared state of its own and
 * does not notice.
 *
 * Called by: FaultyClient, so only if the VM has a fault plan.
 * Callers must: call `deliver` before they handle an answer of the device.
 */

import { host } from '../host/current.js';
import type { InterruptController } from '../hypervisor/interrupt-lines.js';
import { OrderedPoll } from '../sync/poll.js';
import { VmSharedState, type VmSharedStateHandle } from '../hypervisor/vm-shared-state.js';

export class LineRelay implements InterruptController {
  readonly #setLine: (gsi: number, high: boolean) => void;
  readonly #shared = new VmSharedState();
  #isClosed = false;

  constructor(setLine: (gsi: number, high: boolean) => void) {
    this.#setLine = setLine;
    void this.#forward();
  }

  /** For the device's thread, instead of the VM's shared state. */
  get handle(): VmSharedStateHandle {
    return this.#shared.handle;
  }

  /** Passes on the changes so far. It keeps the device's order of interrupts and answers. */
  deliver(): void {
    if (!this.#isClosed) this.#shared.lines.deliver(this);
  }

  close(): void {
    this.#isClosed = true;
    this.#shared.doorbell(0).ring();
  }

  /** `deliver` calls this and `lower`, for each line whose level the device has changed. */
  raise(line: number): void {
    this.#setLine(line, true);
  }

  lower(line: number): void {
    this.#setLine(line, false);
  }

  async #forward(): Promise<void> {
    // Lines ring the doorbell of vCPU 0.
    const doorbell = this.#shared.doorbell(0);
    const change = new OrderedPoll(() => this.#isClosed || this.#shared.lines.changed);
    for (;;) {
      await doorbell.waitAsync(change);
      if (this.#isClosed) return;
      this.deliver();
      // A device that changes lines continuously must not block the event loop.
      await host.turn();
    }
  }
}
