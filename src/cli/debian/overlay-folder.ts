/**
 * overlayArchive: a folder of the host as an archive for the guest. Modes and symbolic links are
 * kept. Root owns everything. A link is never followed, so nothing outside of the folder is read.
 *
 * Called by: debianGuest.
 * Callers must: trust those who may write to the folder. If a folder in it is replaced by a link
 * during the call, that link may be followed.
 */

import { constants } from 'node:fs';
import { lstat, open, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UpcallError } from '../../io-request/upcall-error.js';
import { CpioArchive } from './cpio-archive.js';

/** Limit of all files together. The guest has them in memory, for some time twice. */
export const MAX_OVERLAY_MIB = 256;
/** Limit of the number of files, folders and links. */
const MAX_ENTRIES = 100_000;
/** Windows has no such flag. */
const NO_FOLLOW = (constants as Partial<typeof constants>).O_NOFOLLOW ?? 0;

/**
 * What is in `folder`, below `prefix` ("" or a path that ends with "/"). Rejects with
 * OPTION_INVALID if the folder cannot be read, is too large, or has an entry that is neither a
 * file, a folder nor a link.
 */
export async function overlayArchive(folder: string, prefix = ''): Promise<Buffer> {
  const archive = new CpioArchive();
  const root = await stat(folder).catch((cause: unknown) => unreadable(folder, cause));
  if (!root.isDirectory()) throw invalid(`--overlay ${folder} is not a folder`, 'Give a folder');
  let bytes = 0;
  let entries = 0;

  const add = async (path: string, name: string): Promise<void> => {
    if (++entries > MAX_ENTRIES) throw tooLarge(folder, `${MAX_ENTRIES} files`);
    const found = await lstat(path);
    const permissions = found.mode & 0o7777;
    if (found.isDirectory()) {
      archive.directory(name, permissions);
      await addAll(path, `${name}/`);
    } else if (found.isSymbolicLink()) archive.link(name, await readlink(path));
    else if (found.isFile()) {
      bytes += found.size;
      if (bytes > MAX_OVERLAY_MIB * 2 ** 20) throw tooLarge(folder, `${MAX_OVERLAY_MIB} MiB`);
      archive.file(name, await readRegular(path, found.size), permissions);
    } else
      throw invalid(`--overlay ${folder}: ${path} is neither a file, a folder nor a link`, 'Remove it from the folder');
  };
  const addAll = async (path: string, within: string): Promise<void> => {
    for (const name of (await readdir(path)).sort()) await add(join(path, name), within + name);
  };

  try {
    await addAll(folder, prefix);
  } catch (error) {
    if (error instanceof UpcallError) throw error;
    unreadable(folder, error);
  }
  return archive.bytes();
}

/** A file that `lstat` has seen as a regular one of `size` bytes. */
async function readRegular(path: string, size: number): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | NO_FOLLOW);
  try {
    const bytes = await file.readFile();
    if (bytes.length !== size) throw new Error(`${path} changed while it was read`);
    return bytes;
  } finally {
    await file.close();
  }
}

function unreadable(folder: string, cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new UpcallError('OPTION_INVALID', `--overlay ${folder} cannot be read: ${reason}`, {
    remedy: 'Check the path and its permissions',
    cause,
  });
}

function tooLarge(folder: string, limit: string): UpcallError {
  return invalid(`--overlay ${folder} has more than ${limit}`, 'Give large files on a disk, or leave some out');
}

function invalid(fact: string, remedy: string): UpcallError {
  return new UpcallError('OPTION_INVALID', fact, { remedy });
}
