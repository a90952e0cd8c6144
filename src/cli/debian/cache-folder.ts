/**
 * fromCache: a folder of the cache, whose contents are fetched or built once. Concurrent runs each
 * build in a folder of their own, and the first to finish renames its result to the final name.
 *
 * Called by: fetchDebian and rootImage.
 */

import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { host } from '../../host/current.js';
import { UpcallError } from '../../io-request/upcall-error.js';

export interface CacheEntry<T> {
  /** Name of the finished folder. Change it with the layout of its contents. */
  readonly name: string;
  /** Returns undefined if the folder is missing or incomplete. */
  readonly open: (folder: string) => Promise<T | undefined>;
  /** Writes the contents to `result`, which exists. `work` is for what is removed at the end. */
  readonly build: (result: string, work: string) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
  /** Room that `build` needs, in MB. For the message of a failure. */
  readonly room: number;
}

/** Prefix of folders under construction. A killed run leaves one behind. */
const UNFINISHED = '.unfinished-';
/**
 * An unfinished folder that is older than this is removed, although its process may be running: on
 * another machine that cannot be checked.
 */
const LEFT_BEHIND_MS = 24 * 3600 * 1000;

/**
 * Returns what `open` returns. Rejects with DOWNLOAD_FAILED if the cache cannot be used or the
 * folder is incomplete, with the signal's reason after an abort, and as `build` does.
 */
export async function fromCache<T>(cacheDir: string, entry: CacheEntry<T>): Promise<T> {
  try {
    return await openOrBuild(cacheDir, entry);
  } catch (error) {
    // The file system failed, for example without permission or space.
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    throw new UpcallError('DOWNLOAD_FAILED', `the cache ${cacheDir} cannot be used: ${error.message}`, {
      remedy: `Set XDG_CACHE_HOME to a folder that you may write to, with ${entry.room} MB of room`,
      cause: error,
    });
  }
}

async function openOrBuild<T>(cacheDir: string, { name, open, build, signal }: CacheEntry<T>): Promise<T> {
  await host.makeFolder(cacheDir);
  await removeLeftBehind(cacheDir);
  const ready = join(cacheDir, name);
  const cached = await open(ready);
  if (cached !== undefined) return cached;
  if (await exists(ready)) throw incomplete(ready);

  const folder = await mkdtemp(join(cacheDir, unfinishedPrefix(process.pid)));
  try {
    const result = join(folder, name);
    const work = join(folder, 'work');
    await mkdir(result);
    await mkdir(work);
    await build(result, work);
    signal?.throwIfAborted();
    await rename(result, ready).catch((error: unknown) => {
      // A concurrent run was faster. Its result is as good.
      if (!isNotEmpty(error)) throw error;
    });
  } finally {
    // A child of apt may still be writing.
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
  const built = await open(ready);
  if (built === undefined) throw incomplete(ready);
  return built;
}

/** Removes the unfinished folders of dead processes, and old ones. */
async function removeLeftBehind(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    if (!name.startsWith(UNFINISHED)) continue;
    const createdMs = (await stat(join(cacheDir, name)).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (isOfDeadProcess(name) || Date.now() - createdMs > LEFT_BEHIND_MS)
      await rm(join(cacheDir, name), { recursive: true, force: true });
  }
}

/** With the machine's name: the folder may be shared, and a process ID is valid on one machine. */
function unfinishedPrefix(pid: number | string): string {
  return `${UNFINISHED}${hostname()}-${pid}-`;
}

function isOfDeadProcess(folder: string): boolean {
  const pid = /-(\d+)-[^-]*$/.exec(folder)?.[1];
  if (pid === undefined || !folder.startsWith(unfinishedPrefix(pid))) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    // EPERM: it runs, as another user.
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function incomplete(folder: string): UpcallError {
  return new UpcallError('DOWNLOAD_FAILED', `${folder} is not complete`, { remedy: 'Remove it and try again' });
}

function isNotEmpty(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST');
}
