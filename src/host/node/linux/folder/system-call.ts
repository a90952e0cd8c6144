/**
 * systemCall: runs calls of Node's file system functions, so that what they reject with is a
 * FolderError with Linux' number. Also checkName.
 *
 * Called by: the other files of this folder.
 */

import { FolderError } from '../../../shared-folder.js';

/** Bytes of a name on the usual file systems of Linux. */
const MAX_NAME_BYTES = 255;
const SLASH = 0x2f;
const DOT = 0x2e;

export async function systemCall<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw asFolderError(error);
  }
}

function asFolderError(error: unknown): FolderError {
  if (error instanceof FolderError) return error;
  if (!(error instanceof Error)) return new FolderError('EIO', String(error));
  const { errno } = error as NodeJS.ErrnoException;
  // Node's numbers are negative. It refuses some arguments itself, without a number, such as a size
  // above 2^53.
  return new FolderError(errno === undefined ? 'EINVAL' : -errno, error.message, error);
}

/**
 * Throws FolderError unless `name` is one component of a path: 1 to 255 bytes, without `/` and
 * zeros, and neither `.` nor `..`.
 */
export function checkName(name: Uint8Array): void {
  const isDots = name.length <= 2 && name.every((byte) => byte === DOT);
  if (isDots) throw new FolderError(name.length === 0 ? 'ENOENT' : 'EINVAL', 'the name is empty, . or ..');
  if (name.length > MAX_NAME_BYTES) throw new FolderError('ENAMETOOLONG');
  if (name.includes(SLASH) || name.includes(0)) throw new FolderError('EINVAL', 'the name contains / or a zero');
}
