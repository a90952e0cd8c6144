/**
 * The wait for devices in threads of their own (device-model/placement/): each thread loads its
 * module and creates its device while the VM's start waits.
 *
 * Called by: Attachments, when the VM starts.
 */

import type { ThreadClient } from '../device-model/placement/in-own-thread.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { atMost } from '../sync/bounded-wait.js';

/**
 * Resolves when all `devices` are created. Rejects with the error of a thread that cannot create
 * its device, and with DEVICE_MODULE_INVALID after `limitMs`: a module may wait for something that
 * never comes.
 */
export async function devicesCreated(devices: readonly ThreadClient[], limitMs: number): Promise<void> {
  if (devices.length > 0) await atMost(limitMs, Promise.all(devices.map(({ ready }) => ready)));
  const late = devices.filter(({ isReady }) => !isReady).map(({ name }) => name);
  if (late.length > 0)
    throw new UpcallError(
      'DEVICE_MODULE_INVALID',
      `${late.join(', ')}: the device was not created within ${limitMs / 1000} s`,
      { remedy: 'Let the module and its createDevice end; open what takes long at the first access' },
    );
}
