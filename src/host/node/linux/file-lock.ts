/**
 * lockFile: a lock between processes, which the system releases when its holder ends, however that
 * happens. Node has none.
 *
 * Called by: local-sockets.ts. Source: flock(2).
 */

import { closeSync, openSync } from 'node:fs';
import type { FileLock } from '../../local-sockets.js';
import { requireLibc } from './libc.js';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

/** The number of a closed descriptor may be another file's by a second call. */
function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) act();
    isDone = true;
  };
}

/**
 * Takes the lock that is the file at `path`, which is created and stays. Returns undefined if
 * another process, or this one, holds it. Throws if it cannot be opened or locked.
 */
export function lockFile(path: string): FileLock | undefined {
  const libc = requireLibc();
  const flock = libc.func('int flock(int fd, int operation)');
  const fd = openSync(path, 'a', 0o600);
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return { release: once(() => closeSync(fd)) };
  const errno = libc.errno();
  closeSync(fd);
  if (errno === EWOULDBLOCK) return undefined;
  throw new Error(`flock(2) failed on ${path}: errno ${errno}`);
}
