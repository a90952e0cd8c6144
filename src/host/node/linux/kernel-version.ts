/**
 * isLinuxAtLeast: compares the version of the running Linux. Where possible, features are tried
 * instead.
 *
 * Called by: acrn-programs/program-ioctls.ts, acrn-programs/support.ts.
 */

import { release } from 'node:os';

/** Whether a kernel is Linux `major`.`minor` or newer. Default: this one. */
export function isLinuxAtLeast([major, minor]: readonly [number, number], version = release()): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
