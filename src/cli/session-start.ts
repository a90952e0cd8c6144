/**
 * startSession: creates and attaches the devices of `--device` and the cards of other options, then
 * starts the VM. The creation of each device has a time limit: a module may wait for something that
 * never happens. The cards are upcall's own, and opening a disk may take long.
 *
 * Called by: runSession.
 */

import { fileURLToPath } from 'node:url';
import { isThreadPlacement } from '../device-model/placement/thread-placement.js';
import type { IoClient } from '../hsm/io-client.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { withTimeout } from '../sync/bounded-wait.js';
import { DEVICE_START_MS } from '../vm/user-vm-options.js';
import type { UserVm } from '../vm/user-vm.js';
import type { LocalDevice } from './device-blame.js';
import { attachDevice } from './attach-device.js';
import type { DeviceOption } from './device-option.js';
import type { CardSource } from './card-source.js';
import { WatchedDevice } from './watch/watched-device.js';

export interface SessionDevices {
  readonly devices: readonly DeviceOption[];
  /** Load the modules of `devices` anew when their files change. Default: false. */
  readonly watchFiles?: boolean;
  readonly cards?: readonly CardSource[];
}

/**
 * `onAttached` gets each device in this thread, `onClient` the I/O client of each device.
 * `onReady` is called when all are attached. Rejects as it does, and as attachDevice,
 * CardSource.create, UserVm.attachCard and UserVm.start, and with DEVICE_MODULE_INVALID after
 * `limitMs`.
 */
export async function startSession(
  vm: UserVm,
  { devices, watchFiles = false, cards = [] }: SessionDevices,
  onAttached: (device: LocalDevice) => void = () => undefined,
  limitMs = DEVICE_START_MS,
  onClient: (client: IoClient) => void = () => undefined,
  onReady: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  for (const option of devices) {
    if (watchFiles) await within(limitMs, new WatchedDevice(vm, option, onAttached, onClient).attach(), option);
    else {
      const device = await within(limitMs, attachDevice(vm, option), option);
      if (device.isLocal) onAttached(device);
      onClient(device.client);
    }
  }
  for (const source of cards) {
    const card = await source.create(vm);
    // Not within the call: an optional call that is left out does not evaluate its arguments.
    const attached = isThreadPlacement(card) ? await vm.attachCard(card) : vm.attachCard(card);
    source.attached?.(attached);
  }
  await onReady();
  await vm.start();
}

function within<T>(limitMs: number, work: Promise<T>, { module }: DeviceOption): Promise<T> {
  return withTimeout(limitMs, work, () => {
    throw new UpcallError(
      'DEVICE_MODULE_INVALID',
      `${fileURLToPath(module)}: the device was not created within ${limitMs / 1000} s`,
      { remedy: 'Return from the module and its createDevice; open slow resources at the first access' },
    );
  });
}
