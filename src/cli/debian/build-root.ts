/**
 * rootImage: the root file system of `upcall run debian --root`, an ext4 image in the cache. The
 * first call fetches the packages and builds it in a guest of upcall's own, without root.
 *
 * Called by: debianGuest.
 */

import { spawn } from 'node:child_process';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { UpcallError } from '../../io-request/upcall-error.js';
import { exists, fromCache } from './cache-folder.js';
import { readDeb } from './deb-file.js';
import { debianCacheDir, type FetchOptions } from './fetch-debian.js';
import { openSource } from './open-source.js';
import type { Progress } from './package-source.js';
import { rootArchive } from './root-archive.js';
import { rootFiles } from './root-files.js';
import { ROOT_PACKAGES } from './root-packages.js';
import { MKE2FS, MKE2FS_FILES, ROOT_BUILT, ROOT_SCRIPT, STEP } from './root-script.js';

export interface RootOptions extends FetchOptions {
  /** Path of upcall's script. Node runs it with the guest that builds the image. */
  readonly program: string;
}

/** Name of the finished folder. The number changes with the layout of its contents. */
const READY = 'root-1';
const IMAGE = 'root.img';
/** Holes of the file take no room. */
const IMAGE_BYTES = 4 * 2 ** 30;
const ROOM_MB = 600;
/** For the processes of maintainer scripts, and what the kernel caches. */
const BUILD_MEMORY_MIB = 512;
/** How many of the guest's last lines an error quotes. */
const LAST_LINES = 8;

/**
 * Returns the path of the image, which must not be written. Rejects with DOWNLOAD_FAILED,
 * SIGNATURE_INVALID, TOOL_MISSING, TOOL_FAILED if the guest could not build it, and the signal's
 * reason after an abort.
 */
export function rootImage(options: RootOptions): Promise<string> {
  const { cacheDir = debianCacheDir(), progress = () => undefined, signal } = options;
  return fromCache(cacheDir, {
    name: READY,
    room: ROOM_MB,
    signal,
    open: async (folder) => ((await exists(join(folder, IMAGE))) ? join(folder, IMAGE) : undefined),
    build: async (result, work) => {
      const { source, problem } = await openSource(work, progress, options);
      if (problem !== '') progress(`Some package lists could not be read: ${problem.split('\n')[0]}`);
      const packages = await source.downloadWithNeeds(ROOT_PACKAGES);
      const step = `Unpacking ${packages.length} packages`;
      const archive = await rootArchive(
        packages,
        rootFiles(await source.guestSources()),
        (index) => progress(step, `${index} of ${packages.length}`),
        signal,
      );
      await writeFile(join(work, 'packages.tar'), archive);
      await writeBuilder(join(work, 'builder'), packages, signal);
      const image = await open(join(result, IMAGE), 'wx');
      await image.truncate(IMAGE_BYTES);
      await image.close();
      await runBuilder(work, join('..', basename(result), IMAGE), packages.length, options, progress);
    },
  });
}

/** Writes what the building guest has beside busybox: the script, and the program mke2fs. */
export async function writeBuilder(folder: string, packages: readonly string[], signal?: AbortSignal): Promise<void> {
  await mkdir(folder);
  await writeFile(join(folder, 'build-root.sh'), ROOT_SCRIPT);
  for (const file of packages.filter((path) =>
    /^(?:e2fsprogs|libc6|lib(?:ext2fs|com-err|blkid|uuid)[^_]*)_/.test(basename(path)),
  ))
    for (const { path, type, target, content } of await readDeb(
      file,
      'data',
      (name) => MKE2FS_FILES.test(name),
      signal,
    )) {
      const place = join(folder, basename(path) === MKE2FS ? MKE2FS : path.replace(/^usr\//, ''));
      // A link's target is a file in the same folder.
      const from = type === 'symlink' ? join(dirname(path), target) : path;
      const bytes =
        type === 'symlink' ? (await readDeb(file, 'data', (name) => name === from, signal))[0]?.content : content;
      if (bytes === undefined) continue;
      await mkdir(dirname(place), { recursive: true });
      await writeFile(place, bytes, { mode: 0o755 });
    }
}

/**
 * Runs the building guest in the folder `work`, on the disk `image`. It has no network. Rejects
 * with TOOL_FAILED if it does not say that it has built the file system, and with the signal's
 * reason after an abort.
 */
export async function runBuilder(
  work: string,
  image: string,
  packages: number,
  { program, signal }: Pick<RootOptions, 'program' | 'signal'>,
  progress: Progress,
): Promise<void> {
  // An abort before the listener below would be missed.
  signal?.throwIfAborted();
  // Relative names: a comma in the cache's path would end a name of --disk.
  const disks = ['--disk', image, '--disk', 'packages.tar,ro'];
  const guest = ['--memory', String(BUILD_MEMORY_MIB), '--overlay', 'builder', '--run', 'sh /build-root.sh'];
  const words = [program, 'run', 'debian', ...disks, ...guest];
  const child = spawn(process.execPath, words, { cwd: work, stdio: ['ignore', 'pipe', 'pipe'] });
  const onAbort = (): void => void child.kill();
  signal?.addEventListener('abort', onAbort);
  const last: string[] = [];
  let step = 'Starting the guest that builds the root file system';
  let configured = 0;
  // Not narrowed: the loop below assigns it.
  let isBuilt = false as boolean;
  progress(step);
  const read = async (stream: NodeJS.ReadableStream): Promise<void> => {
    for await (const line of createInterface({ input: stream })) {
      if (line.trim() === '') continue;
      last.push(line.trimEnd());
      if (last.length > LAST_LINES) last.shift();
      if (line.startsWith(ROOT_BUILT)) isBuilt = true;
      else if (line.startsWith(STEP)) progress((step = line.slice(STEP.length).trimEnd()));
      else if (line.startsWith('Setting up ')) progress(step, `${++configured} of ${packages}`);
    }
  };
  try {
    const ended = new Promise<void>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', () => resolve());
    });
    await Promise.all([ended, read(child.stdout), read(child.stderr)]);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
  signal?.throwIfAborted();
  if (isBuilt) return;
  throw new UpcallError('TOOL_FAILED', `the root file system could not be built: ${last.join('\n')}`, {
    remedy: 'Try again. If it remains, run debian without --root',
  });
}
