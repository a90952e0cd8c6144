/**
 * LineRelay: lets the Service VM's thread take part in what a device in another thread does with its interrupt lines. The
 * device drives lines in shared state of its own; what changes there arrives here, where it may go wrong. The device needs
 * to know nothing of it. Used only where a VM has a fault plan.
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

  /** For the device's thread, in place of the VM's own. */
  get handle(): VmSharedStateHandle {
    return this.#shared.handle;
  }

  /** Hands on what has changed so far: whoever got an answer of the device does so first, as the device had it. */
  deliver(): void {
    if (!this.#isClosed) this.#shared.lines.deliver(this);
  }

  close(): void {
    this.#isClosed = true;
    this.#shared.doorbell(0).ring();
  }

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
      // A device that never rests must not keep the event loop from turning.
      await host.turn();
    }
  }
}
