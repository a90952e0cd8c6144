/**
 * carryState: gives the state of a device to its successor, if both know how.
 *
 * Called by: DeviceReloader, at the exchange.
 */

import { errorText } from '../../io-request/error-text.js';
import type { Device } from '../device.js';

/** The part of a device or card that has to do with its state. */
export type Stateful = Pick<Device, 'save' | 'restore' | 'stateVersion'>;

/**
 * Returns undefined if the state was carried, otherwise why not, a sentence part. Then the
 * successor is in its power-on state. Throws what its `restore` throws: it is unusable.
 */
export function carryState(old: Stateful, successor: Stateful): string | undefined {
  if (old.save === undefined) return 'it had no save';
  if (successor.restore === undefined) return 'it has no restore';
  if (old.stateVersion !== successor.stateVersion)
    return `its state is of version ${successor.stateVersion}, and was of version ${old.stateVersion}`;
  let state: unknown;
  try {
    // A copy: the old device must not change its successor.
    state = structuredClone(old.save());
  } catch (error) {
    return `the save of the old one failed: ${errorText(error).message}`;
  }
  successor.restore(state);
  return undefined;
}
