/**
 * OpenAccesses: the accesses of a device whose promises are open, so that the device can be
 * exchanged when there is no access in it.
 *
 * Called by: ReloadableDevice, ReloadableCard and DeviceReloader.
 * Threads: the device's.
 */

import { host } from '../../host/current.js';

export class OpenAccesses {
  #open = 0;
  #isOver = false;
  /** Wakes `whenQuiet`. */
  #wake: () => void = () => undefined;

  /** Counts `promise`, what an access of the device has returned, until it settles. */
  track<T>(promise: Promise<T>): Promise<T> {
    this.#open++;
    const end = (): void => {
      if (--this.#open === 0) this.#wake();
    };
    Promise.resolve(promise).then(end, end);
    return promise;
  }

  /**
   * Calls `act` when no access is open, at the earliest in the next turn of the event loop. Returns
   * false, and does not call it, if `end` came before.
   */
  async whenQuiet(act: () => void): Promise<boolean> {
    for (;;) {
      // An access of 8 bytes is two of the device. The second one begins in the turn in which the
      // first one has ended.
      await host.turn();
      if (this.#isOver) return false;
      if (this.#open === 0) {
        act();
        return true;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The device was removed. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }
}
