/**
 * Which Linux this is. Features are tried where that is possible, not derived from the version.
 *
 * Called by: acrn-programs/program-ioctls.ts, acrn-programs/support.ts.
 */

import { release } from 'node:os';

/** Whether a kernel is Linux `major`.`minor` or newer. Default: this one. */
export function isLinuxAtLeast([major, minor]: readonly [number, number], version = release()): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
