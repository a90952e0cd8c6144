/**
 * checkedValue: checks that what a device's `read` returned can answer an access.
 *
 * Called by: DeviceClient for each read of a guest, and the benches of `upcall/testing`.
 */

import { originText } from './device-origin.js';

/** Above this magnitude a double cannot hold each whole number, so their low bits are unknown. */
const MAX_VALUE = Number.MAX_SAFE_INTEGER;

/**
 * Returns `value`, or throws TypeError, which names the module of `device`. A device may have
 * forgotten its `return`, or divided by 0: its bug.
 */
export function checkedValue(value: number, device: object): number {
  if (typeof (value as unknown) === 'number' && value >= -MAX_VALUE && value <= MAX_VALUE) return value;
  throw new TypeError(
    `read returned ${described(value)}, not a number from -(2^53 - 1) to 2^53 - 1${originText(device)}`,
  );
}

/** Any value in a word or two, whatever it is. */
function described(value: unknown): string {
  if (value === null || typeof value === 'undefined' || typeof value === 'number') return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
