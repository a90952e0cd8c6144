/**
 * startSession: the devices of the command line are made and attached, then the VM starts. Each
 * device is waited for so long and no longer: a module may wait for something that never comes.
 */

import { fileURLToPath } from 'node:url';
import { UpcallError } from '../io-request/upcall-error.js';
import { withTimeout } from '../sync/bounded-wait.js';
import { DEVICE_START_MS } from '../vm/user-vm-options.js';
import type { UserVm } from '../vm/user-vm.js';
import { attachDevice, type DeviceOption } from './device-option.js';

/**
 * Throws what attachDevice and UserVm.start throw, and DEVICE_MODULE_INVALID when the time for a
 * device here is over.
 */
export async function startSession(
  vm: UserVm,
  devices: readonly DeviceOption[],
  limitMs = DEVICE_START_MS,
): Promise<void> {
  for (const device of devices) await within(limitMs, attachDevice(vm, device), device);
  await vm.start();
}

function within(limitMs: number, work: Promise<void>, { module }: DeviceOption): Promise<void> {
  return withTimeout(limitMs, work, () => {
    throw new UpcallError(
      'DEVICE_MODULE_INVALID',
      `${fileURLToPath(module)}: the device is not made after ${limitMs / 1000} s`,
      { remedy: 'Let the module and its createDevice end; open what takes long at the first access' },
    );
  });
}
