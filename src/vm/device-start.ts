/**
 * The wait for devices in threads of their own (device-model/placement/): each thread loads its
 * module and creates its device while the VM's start waits.
 *
 * Called by: Attachments, when the VM starts; VmCards, when a card is attached.
 */

import type { ThreadClient } from '../device-model/placement/in-own-thread.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { atMost } from '../sync/bounded-wait.js';

/** A device or card that is being created in a thread of its own. */
export type StartingDevice = Pick<ThreadClient, 'name' | 'ready' | 'isReady'>;

/**
 * Resolves when all `devices` are created. Rejects with the error of a thread that cannot create
 * its device, and with DEVICE_MODULE_INVALID after `limitMs`: a module may wait for something that
 * never comes.
 */
export async function devicesCreated(devices: readonly StartingDevice[], limitMs: number): Promise<void> {
  if (devices.length > 0) await atMost(limitMs, Promise.all(devices.map(({ ready }) => ready)));
  const late = devices.filter(({ isReady }) => !isReady).map(({ name }) => name);
  if (late.length > 0)
    throw new UpcallError(
      'DEVICE_MODULE_INVALID',
      `${late.join(', ')}: the device was not created within ${limitMs / 1000} s`,
      { remedy: 'Let the module and its createDevice end; open what takes long at the first access' },
    );
}
