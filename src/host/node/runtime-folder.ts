/**
 * runtimeFolder: the folder for what exists while the processes of a user run, which is sockets and
 * locks.
 *
 * Called by: linux/local-sockets.ts.
 */

import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The permission bits of the group and of others. */
const OTHERS = 0o077;

/**
 * In XDG_RUNTIME_DIR (XDG Base Directory Specification), or else in the folder for temporary files.
 * It is created. Throws if it is not this user's alone: another user may have made it.
 */
export function runtimeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const user = process.getuid?.() ?? 0;
  const base = environment['XDG_RUNTIME_DIR'];
  const hasBase = base !== undefined && isAbsolute(base) && isFolder(base);
  const folder = hasBase ? join(base, 'upcall') : join(tmpdir(), `upcall-${user}`);
  mkdirSync(folder, { mode: 0o700, recursive: true });
  const status = lstatSync(folder);
  if (!status.isDirectory() || status.uid !== user || (status.mode & OTHERS) !== 0)
    throw new Error(`${folder} is not a folder of this user alone`);
  return folder;
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
