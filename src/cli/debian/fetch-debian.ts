/**
 * fetchDebian: fetches the guest of `upcall run debian` once: Debian's kernel and busybox,
 * without root. The machine's own apt fetches them. Without apt, or if the operator names a mirror,
 * they are read from the mirror by HTTPS.
 *
 * The result is cached.
 *
 * Called by: debianGuest.
 */

import { createHash, randomUUID } from 'node:crypto';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { host } from '../../host/current.js';
import { ImageReader } from '../../hypervisor/boot/image-reader.js';
import { unpackKernel } from '../../hypervisor/boot/kernel-payload.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { currentKernelPackage, findKernelPackage, type Architecture } from './architecture.js';
import { exists, fromCache } from './cache-folder.js';
import { readDeb } from './deb-file.js';
import { buildInitramfs } from './initramfs.js';
import { readKernelPackage } from './kernel-package.js';
import { KEPT_MODULES } from './module-groups.js';
import { openSource, type SourceOptions } from './open-source.js';
import { writeModules } from './package-modules.js';
import type { PackageSource, Progress } from './package-source.js';
import { writeUnpackedKernel } from './unpacked-kernel.js';

export interface DebianGuest {
  /** Path of the bzImage, whose setup header is needed with the unpacked kernel, too. */
  readonly kernel: string;
  /** Path of the same kernel unpacked, if that succeeded: it starts seconds sooner. */
  readonly vmlinux?: string;
  /** Path of a bzImage of the kernel for i386 that is not compressed, if that succeeded. */
  readonly unpackedKernel?: string;
  /** Path of the initial RAM file system. */
  readonly initrd: string;
  /** Path of the folder of PackageModules. */
  readonly modules: string;
  /** The package's version, e.g. "6.1.176-1". */
  readonly version: string;
}

export interface FetchOptions extends SourceOptions {
  readonly cacheDir?: string;
  /** Not called if the guest is cached. */
  readonly progress?: Progress;
  /** Ends the fetch, which then leaves nothing behind and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Names of the finished folders. The number changes with the layout of their contents. */
const READY: Readonly<Record<Architecture, string>> = { i386: 'guest-3', amd64: 'guest-amd64-1' };
const MODULES = 'modules';
/** Room in the cache, with what is removed at the end. */
const ROOM_MB = 150;
const BUSYBOX_PACKAGE = 'busybox-static';
const BUSYBOX_PATH = /^(?:usr\/)?bin\/busybox$/;
const OWN_KERNEL = 'give a kernel and an initial RAM disk of your own with --kernel and --initrd';

export function debianCacheDir(): string {
  return join(host.cacheFolder, 'debian');
}

/**
 * Returns the cached guest, or fetches it. Rejects with TOOL_MISSING, DOWNLOAD_FAILED or
 * SIGNATURE_INVALID, as `unpackKernel` and `readKernelPackage` for a kernel or module that cannot
 * be used, and with the signal's reason after an abort.
 */
export function fetchDebian(options: FetchOptions = {}): Promise<DebianGuest> {
  const { cacheDir = debianCacheDir(), progress = () => undefined, architecture = 'i386', signal } = options;
  return fromCache(cacheDir, {
    name: READY[architecture],
    room: ROOM_MB,
    signal,
    open: (folder) => openReady(folder, architecture),
    build: async (result, work) => {
      const { source, problem } = await openSource(work, progress, options);
      await fetchInto(result, source, architecture, problem, progress, signal);
    },
  });
}

/** Fetches the packages and writes the parts of the guest to the folder `result`. */
async function fetchInto(
  result: string,
  source: PackageSource,
  architecture: Architecture,
  problem: string,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<void> {
  const kernel = await findKernelPackage(source, architecture);
  const busybox = await source.show(BUSYBOX_PACKAGE);
  if (kernel === undefined || busybox === undefined) {
    const missing = kernel === undefined ? currentKernelPackage(architecture) : BUSYBOX_PACKAGE;
    if (problem !== '') throw failed(`apt-get update failed: ${problem}`, `Check the network, or ${OWN_KERNEL}`);
    throw failed(`no source has the package ${missing} for ${architecture}`, `${source.remedy}. Or ${OWN_KERNEL}`);
  }
  const [kernelFile = '', busyboxFile = ''] = await source.download([kernel.name, BUSYBOX_PACKAGE]);

  progress('Unpacking the kernel and its modules for virtio');
  const unpacked = await readKernelPackage(kernelFile, KEPT_MODULES, signal);
  if (unpacked.kernel === undefined) throw lacking(kernelFile, 'boot/vmlinuz-*');
  const vmlinux = await unpackKernel(new ImageReader('kernel', unpacked.kernel), architecture === 'amd64');
  await writeFile(join(result, 'vmlinuz'), unpacked.kernel);
  if (vmlinux !== undefined) await writeFile(join(result, 'vmlinux'), vmlinux.bytes);
  await writeModules(join(result, MODULES), unpacked);
  const [program] = await readDeb(busyboxFile, 'data', (path) => BUSYBOX_PATH.test(path));
  if (program === undefined) throw lacking(busyboxFile, 'bin/busybox');
  await writeFile(join(result, 'busybox'), program.content);
  await writeFile(join(result, 'version'), `${kernel.version}\n`);
}

function lacking(file: string, path: string): UpcallError {
  return failed(`the package ${basename(file)} has no ${path}`, `Try again, or ${OWN_KERNEL}`);
}

/** The cached guest, or undefined if it is missing or incomplete. */
async function openReady(folder: string, architecture: Architecture): Promise<DebianGuest | undefined> {
  const read = (name: string) => readFile(join(folder, name)).catch(() => undefined);
  const [version, busybox] = [await read('version'), await read('busybox')];
  const kernel = join(folder, 'vmlinuz');
  const modules = join(folder, MODULES);
  if (version === undefined || busybox === undefined) return undefined;
  if (!(await exists(kernel)) || !(await exists(modules))) return undefined;
  const vmlinux = join(folder, 'vmlinux');
  const isUnpacked = await exists(vmlinux);
  const unpackedKernel = isUnpacked && architecture === 'i386' ? await writeUnpackedKernel(kernel, vmlinux) : undefined;
  return {
    kernel,
    ...(isUnpacked ? { vmlinux } : {}),
    ...(unpackedKernel === undefined ? {} : { unpackedKernel }),
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

function failed(fact: string, remedy: string): UpcallError {
  return new UpcallError('DOWNLOAD_FAILED', fact.trim().replace(/\.$/, ''), { remedy });
}
