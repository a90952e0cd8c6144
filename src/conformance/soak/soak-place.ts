/**
 * Place: a range of ports of a soak VM with its device, and how the soak takes the device away: as
 * if it were unplugged, or by terminating its thread.
 *
 * Called by: SoakVm (soak-vm.ts).
 */

import type { Worker } from 'node:worker_threads';
import type { DeviceThreadMessage } from '../../device-model/placement/device-thread.js';
import type { SoakDeviceOptions } from './soak-device.js';

/** A range of ports and the device there, which may be lost and attached again. */
export interface Place {
  readonly id: number;
  readonly options: SoakDeviceOptions;
  readonly inThread: boolean;
  worker: Worker | undefined;
  /** Resolves when its thread has created the device, or has ended. */
  ready: Promise<void> | undefined;
  detach: (() => void) | undefined;
  /** Whether it has a fault in this round. All ones is then a valid answer. */
  hasFault: boolean;
  /** The SoakFault that was planned for the last round. */
  fault: number;
}

/**
 * Terminates its thread, but not while it loads its modules. Node would leak the descriptors of the
 * files that it is reading.
 */
export async function terminate(place: Place, turns: number): Promise<void> {
  const { worker, ready } = place;
  await ready;
  await afterTurns(turns);
  await worker?.terminate();
}

/** Resolves when a thread has created its device, or has ended. */
export function whenReady(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.on('message', (message: DeviceThreadMessage) => {
      if (message.kind === 'ready') resolve();
    });
    worker.once('exit', () => resolve());
  });
}

/** Detaches the device while the VM runs, as if it were unplugged. */
export function unplug(place: Place): void {
  const { detach } = place;
  place.detach = place.worker = undefined;
  detach?.();
}

/** Resolves after `turns` turns of the event loop. */
export async function afterTurns(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}
