/**
 * fetchDebian: fetches the guest of `upcall run debian` once: Debian's i386 kernel and busybox, by
 * the machine's own apt, without root.
 *
 * The result is cached. Concurrent runs each build a folder of their own, and the first to finish
 * renames it to its final name.
 */

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { host } from '../../host/current.js';
import { ImageReader } from '../../hypervisor/boot/image-reader.js';
import { unpackKernel } from '../../hypervisor/boot/kernel-payload.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { readDeb } from './deb-file.js';
import { buildInitramfs } from './initramfs.js';
import { readKernelPackage } from './kernel-package.js';
import { KEPT_MODULES } from './module-groups.js';
import { writeModules } from './package-modules.js';
import { PrivateApt } from './private-apt.js';

export interface DebianGuest {
  /** Path of the bzImage, whose setup header is needed with the unpacked kernel, too. */
  readonly kernel: string;
  /** Path of the same kernel unpacked, if that succeeded: it starts seconds sooner. */
  readonly vmlinux?: string;
  /** Path of the initial RAM file system. */
  readonly initrd: string;
  /** Path of the folder of PackageModules. */
  readonly modules: string;
  /** The package's version, e.g. "6.1.176-1". */
  readonly version: string;
}

export interface FetchOptions {
  readonly cacheDir?: string;
  /** Called with each step as a line of text. Not called if the guest is cached. */
  readonly progress?: (step: string) => void;
  /** Ends the fetch, which then leaves nothing behind and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Name of the finished folder. The number changes with the layout of its contents. */
const READY = 'guest-3';
const MODULES = 'modules';
/** Prefix of folders under construction. A killed run leaves one behind. */
const UNFINISHED = '.unfinished-';
/**
 * An unfinished folder of another machine that is older than this belongs to no running process.
 */
const LEFT_BEHIND_MS = 24 * 3600 * 1000;
/**
 * Packages that depend on the current kernel, the one for older processors first: it needs the
 * fewest features.
 */
const KERNEL_PACKAGES = ['linux-image-686', 'linux-image-686-pae'] as const;
const BUSYBOX_PACKAGE = 'busybox-static';
const BUSYBOX_PATH = /^(?:usr\/)?bin\/busybox$/;
const KERNEL_NAME = /^linux-image-[0-9][^ ]*-686(-pae)?$/;
const OWN_KERNEL = 'give a 32-bit kernel and an initial RAM disk of your own with --kernel and --initrd';

function debianCacheDir(): string {
  return join(host.cacheFolder, 'debian');
}

/** Returns the cached guest, or fetches it. Throws TOOL_MISSING or DOWNLOAD_FAILED. */
export async function fetchDebian(options: FetchOptions = {}): Promise<DebianGuest> {
  const { cacheDir = debianCacheDir(), progress = () => undefined, signal } = options;
  try {
    return await openOrFetch(cacheDir, progress, signal);
  } catch (error) {
    // The file system failed, for example without permission or space.
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    throw new UpcallError('DOWNLOAD_FAILED', `the cache ${cacheDir} cannot be used: ${error.message}`, {
      remedy: 'Set XDG_CACHE_HOME to a folder that you may write to, with 100 MB of room',
      cause: error,
    });
  }
}

async function openOrFetch(
  cacheDir: string,
  progress: (step: string) => void,
  signal: AbortSignal | undefined,
): Promise<DebianGuest> {
  await host.makeFolder(cacheDir);
  await removeLeftBehind(cacheDir);
  const ready = join(cacheDir, READY);
  const cached = await openReady(ready);
  if (cached !== undefined) return cached;
  if (await exists(ready)) throw incomplete(ready);

  const folder = await mkdtemp(join(cacheDir, unfinishedPrefix(process.pid)));
  try {
    await fetchInto(folder, progress, signal);
    signal?.throwIfAborted();
    await rename(join(folder, READY), ready).catch((error: unknown) => {
      // A concurrent run was faster. Its result is as good.
      if (!isNotEmpty(error)) throw error;
    });
  } finally {
    // A child of apt may still be writing.
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
  const guest = await openReady(ready);
  if (guest === undefined) throw incomplete(ready);
  return guest;
}

/** Fetches the packages and builds the folder READY in `folder`. */
async function fetchInto(
  folder: string,
  progress: (step: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const aptFolder = join(folder, 'apt');
  const result = join(folder, READY);
  await mkdir(aptFolder);
  await mkdir(result);
  const apt = await PrivateApt.open(aptFolder, 'i386', signal);
  progress('Reading the package lists of the configured Debian sources (i386)');
  const update = await apt.update();
  const kernel = await findKernel(apt);
  const busybox = await apt.show(BUSYBOX_PACKAGE);
  if (kernel === undefined || busybox === undefined) {
    const missing = kernel === undefined ? KERNEL_PACKAGES[0] : BUSYBOX_PACKAGE;
    if (update.status !== 0) throw failed('apt-get update', update.lastLines, `Check the network, or ${OWN_KERNEL}`);
    throw failed(
      `none of the sources of apt has the package ${missing} for i386`,
      '',
      `Add a source of Debian 12 (bookworm) for i386, or ${OWN_KERNEL}`,
    );
  }
  progress(`Downloading ${kernel.name} and ${BUSYBOX_PACKAGE}`);
  const download = await apt.download([kernel.name, BUSYBOX_PACKAGE]);
  if (download.status !== 0)
    throw failed('apt-get download', download.lastLines, `Check the network, or ${OWN_KERNEL}`);

  progress('Unpacking the kernel and its modules for virtio');
  const kernelFile = await packageFile(aptFolder, kernel.name);
  const unpacked = await readKernelPackage(kernelFile, KEPT_MODULES, signal);
  if (unpacked.kernel === undefined) throw lacking(kernelFile, 'boot/vmlinuz-*');
  const vmlinux = await unpackKernel(new ImageReader('kernel', unpacked.kernel));
  await writeFile(join(result, 'vmlinuz'), unpacked.kernel);
  if (vmlinux !== undefined) await writeFile(join(result, 'vmlinux'), vmlinux.bytes);
  await writeModules(join(result, MODULES), unpacked);
  const busyboxFile = await packageFile(aptFolder, BUSYBOX_PACKAGE);
  const [program] = await readDeb(busyboxFile, 'data', (path) => BUSYBOX_PATH.test(path));
  if (program === undefined) throw lacking(busyboxFile, 'bin/busybox');
  await writeFile(join(result, 'busybox'), program.content);
  await writeFile(join(result, 'version'), `${kernel.version}\n`);
}

/** The name and version of the kernel's package. Undefined if no source has one. */
async function findKernel(apt: PrivateApt): Promise<{ name: string; version: string } | undefined> {
  const names: string[] = [];
  for (const name of KERNEL_PACKAGES) {
    const depends = (await apt.show(name))?.get('Depends') ?? '';
    names.push(...depends.split(/[,|]/).map((dependency) => dependency.trim().split(' ')[0] as string));
  }
  // If no package points to the current kernel, take the newest.
  const newestFirst = (a: string, b: string): number => b.localeCompare(a, 'en', { numeric: true });
  names.push(...(await apt.names('linux-image-')).filter((name) => !name.includes('-rt-')).sort(newestFirst));
  for (const name of names.filter((candidate) => KERNEL_NAME.test(candidate))) {
    const version = (await apt.show(name))?.get('Version');
    if (version !== undefined) return { name, version };
  }
  return undefined;
}

/** The path of the downloaded package `name`. */
async function packageFile(folder: string, name: string): Promise<string> {
  const file = (await readdir(folder)).find((entry) => entry.startsWith(`${name}_`) && entry.endsWith('.deb'));
  if (file === undefined) throw failed(`apt-get download left no ${name}`, '', 'Try again');
  return join(folder, file);
}

function lacking(file: string, path: string): UpcallError {
  return failed(`the package ${basename(file)} has no ${path}`, '', `Try again, or ${OWN_KERNEL}`);
}

/** The cached guest, or undefined if it is missing or incomplete. */
async function openReady(folder: string): Promise<DebianGuest | undefined> {
  const read = (name: string) => readFile(join(folder, name)).catch(() => undefined);
  const [version, busybox] = [await read('version'), await read('busybox')];
  const kernel = join(folder, 'vmlinuz');
  const modules = join(folder, MODULES);
  if (version === undefined || busybox === undefined) return undefined;
  if (!(await exists(kernel)) || !(await exists(modules))) return undefined;
  const vmlinux = join(folder, 'vmlinux');
  return {
    kernel,
    ...((await exists(vmlinux)) ? { vmlinux } : {}),
    initrd: await writeInitramfs(folder, busybox),
    modules,
    version: version.toString().trim(),
  };
}

/**
 * Writes the initial RAM file system, if it is not there, and returns its path. It is named by its
 * contents: another release of upcall may have another init script.
 */
async function writeInitramfs(folder: string, busybox: Uint8Array): Promise<string> {
  const bytes = buildInitramfs(busybox);
  const path = join(folder, `initrd-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}.cpio`);
  const size = (await stat(path).catch(() => undefined))?.size;
  if (size !== bytes.length) {
    const unfinished = `${path}.${randomUUID()}`;
    await writeFile(unfinished, bytes);
    await rename(unfinished, path);
  }
  return path;
}

/** Removes the unfinished folders of processes that were killed. */
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

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function incomplete(folder: string): UpcallError {
  return failed(`${folder} is not complete`, '', 'Remove it and try again');
}

function isNotEmpty(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST');
}

function failed(what: string, lastLines: string, remedy: string): UpcallError {
  return new UpcallError(
    'DOWNLOAD_FAILED',
    lastLines === '' ? what : `${what} failed: ${lastLines.trim().replace(/\.$/, '')}`,
    { remedy },
  );
}
