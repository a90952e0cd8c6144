/**
 * punchHole: gives the storage of a part of a file back to the file system.
 *
 * Called by: disk-file.ts.
 *
 * Source: fallocate(2).
 */

import { loadLibc } from './libc.js';

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;

/** Whether this host has the call. The file system may still refuse it. */
export function canPunchHoles(): boolean {
  return loadLibc() !== undefined;
}

/**
 * The part then reads as zeros. Returns false if that fails, mostly because the file system has no
 * holes.
 */
export async function punchHole(fd: number, position: number, length: number): Promise<boolean> {
  const libc = loadLibc();
  if (libc === undefined) return false;
  const fallocate = libc.asyncFunc('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
  return Number(await fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, position, length)) === 0;
}
