/**
 * DeviceBlame: finds the device of `--device` whose code a stack comes from, among those in the
 * Service VM's thread, so that an error outside of any access (a timer, a socket) removes that
 * device and not the process.
 *
 * Called by: runSession, for each error; startSession and WatchedDevice, with each device.
 *
 * A stack is all that an uncaught error has. To follow the device through asynchronous calls
 * (AsyncLocalStorage) would slow down every promise of the process.
 */

import { fileURLToPath } from 'node:url';
import { authorFrames, isInNode } from '../io-request/author-frame.js';
import { errorText } from '../io-request/error-text.js';
import type { UserVm } from '../vm/user-vm.js';

/** A device in the Service VM's thread. */
export interface LocalDevice {
  readonly name: string;
  readonly module: URL;
  /** Removes and closes it. */
  readonly detach: () => void;
}

const ONLY_DEVICE = 'no other device is in its thread';

export class DeviceBlame {
  #devices: readonly LocalDevice[] = [];

  /** May be called again with a device that was removed. */
  add(device: LocalDevice): void {
    if (!this.#devices.includes(device)) this.#devices = [...this.#devices, device];
  }

  /**
   * The devices of the module with the innermost frame in the stack: which of several it was, a
   * stack does not say. If its frames are only in files that a device may have imported, the only
   * device.
   */
  devicesOf(stack: string): readonly LocalDevice[] {
    const frames = authorFrames(stack);
    for (const frame of frames) {
      const devices = this.#devices.filter(({ module }) => frame.startsWith(`${fileURLToPath(module)}:`));
      if (devices.length > 0) return devices;
    }
    return frames.length > 0 && this.#devices.length === 1 ? this.#devices : [];
  }

  /**
   * Removes and reports the devices that the error comes from. Returns whether there were any. If
   * only the devices as a whole can be suspected, returns the names of all and removes none: an
   * error without a stack, or, with several devices, one without a place in any file, as those of
   * Node's own streams. Upcall's own code throws nothing like that.
   */
  take(error: unknown, vm: UserVm): boolean | readonly string[] {
    const { message: thrown, stack } = errorText(error);
    const names = this.#devices.map(({ name }) => name);
    if (stack === undefined) return names;
    const isWithoutFile = isInNode(stack);
    if (isWithoutFile && names.length > 1) return names;
    const devices = isWithoutFile ? this.#devices : this.devicesOf(stack);
    const message = isWithoutFile ? `${thrown} (an error without a place in any file; ${ONLY_DEVICE})` : thrown;
    this.#devices = this.#devices.filter((device) => !devices.includes(device));
    for (const { name, detach } of devices) {
      vm.emit({ kind: 'device-error', device: name, during: 'outside', message, ...(stack && { stack }) });
      try {
        detach();
      } catch (failure) {
        vm.emit({ kind: 'device-error', device: name, during: 'close', ...errorText(failure) });
      }
    }
    return devices.length > 0;
  }
}
