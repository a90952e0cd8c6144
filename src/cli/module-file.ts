/**
 * moduleFileProblem: why a file cannot be loaded as a module, found before it is loaded: a device
 * such as /dev/zero would be read without end.
 *
 * Called by: hypervisor-module.ts, device-option.ts and disk-option.ts.
 */

import { statSync, type Stats } from 'node:fs';

/** "no such file", "a folder", "not a regular file", or undefined. Pipes may be modules. */
export function moduleFileProblem(path: string): string | undefined {
  let status: Stats;
  try {
    status = statSync(path);
  } catch {
    return 'no such file';
  }
  if (status.isFile() || status.isFIFO()) return undefined;
  return status.isDirectory() ? 'a folder' : 'not a regular file';
}
