/**
 * The guest of `upcall run debian`: Debian's kernel and busybox, fetched on first use.
 *
 * Called by: planSession (run.ts).
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import yoctoSpinner from 'yocto-spinner';
import type { GuestImageOptions } from '../../hypervisor/boot/guest-image.js';
import type { Hypervisor } from '../../hypervisor/hypervisor.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { readImage } from '../../vm/image-file.js';
import { rootImage } from '../debian/build-root.js';
import { CpioArchive } from '../debian/cpio-archive.js';
import { debianCommandLine } from '../debian/command-line.js';
import { consoleArchive } from '../debian/console-archive.js';
import { fetchDebian } from '../debian/fetch-debian.js';
import { OVERLAY, ROOT_PARAMETER, runParameter, sizeParameter } from '../debian/initramfs.js';
import { moduleArchive } from '../debian/module-archive.js';
import { ModuleChoice } from '../debian/module-choice.js';
import type { ModuleGroup } from '../debian/module-groups.js';
import { networkArchive } from '../debian/network-archive.js';
import { overlayArchive } from '../debian/overlay-folder.js';
import { PackageModules } from '../debian/package-modules.js';
import type { Progress } from '../debian/package-source.js';
import { shareMounts } from '../debian/share-mounts.js';
import type { DiskOption } from '../disk-option.js';
import type { Reporter } from '../reporter.js';
import type { SessionEnding } from '../session-ending.js';
import { partsOfGuest, type Guest, type RunOptions } from './run-options.js';

/** Enough for the kernel, its RAM disk and a few processes. */
const DEBIAN_MEMORY_MIB = { i386: 128, amd64: 256 } as const;
/** With `--root`: apt holds the list of all packages in memory. */
const ROOT_MEMORY_MIB = 512;

/**
 * Fetches the guest or takes it from the cache. Rejects with OPTION_INVALID for options that
 * exclude each other, with HYPERVISOR_UNAVAILABLE if no operating system runs on it here, as
 * `readImage`, `ModuleChoice`, `overlayArchive`, `fetchDebian` and `rootImage` do, and with
 * TIMED_OUT if `--timeout` has ended the fetch.
 */
export async function debianGuest(
  options: RunOptions,
  hypervisor: Hypervisor,
  reporter: Reporter,
  ending: SessionEnding,
): Promise<Guest> {
  for (const [option, value] of [
    ['--kernel', options.kernel],
    ['--kind', options.kind],
    ['--tour', options.tour],
  ] as const)
    if (value !== undefined)
      throw new UpcallError('OPTION_INVALID', `debian cannot be combined with ${option}`, {
        remedy: `Leave out ${option}`,
      });

  for (const [option, given] of [
    ['--module', options.module.length > 0],
    ['--overlay', options.overlay !== undefined],
    ['--root', options.root !== undefined],
  ] as const)
    if (given && options.initrd !== undefined)
      throw new UpcallError('OPTION_INVALID', `--initrd and ${option} exclude each other for debian`, {
        remedy: `Put it into the initial RAM disk of your own, or leave out --initrd`,
      });
  const choice = await ModuleChoice.read(impliedModules(options), options.module);
  const overlay = await overlayOf(options);

  const limitation = await hypervisor.whyNoSystem?.();
  if (limitation !== undefined)
    throw new UpcallError('HYPERVISOR_UNAVAILABLE', `${hypervisor.name} cannot run debian: ${limitation.reason}`, {
      remedy: limitation.remedy,
    });
  const architecture = hypervisor.longMode === true ? 'amd64' : 'i386';
  const { mirror } = options;
  const { kernel, vmlinux, initrd, modules, version } = await inTime(options, reporter, ending, (progress) =>
    fetchDebian({ architecture, progress, mirror, signal: ending.signal }),
  );
  const rootDisk = options.root === undefined ? undefined : await rootDiskOf(options.root, options, reporter, ending);
  const extra = [
    rootDisk === undefined ? undefined : `${ROOT_PARAMETER}=/dev/vda`,
    process.stdin.isTTY ? sizeParameter(process.stdout) : undefined,
    options.cmdline,
    options.run === undefined ? undefined : runParameter(options.run),
  ];
  // The kernel unpacks one archive after the other. None is compressed, and each ends at the four
  // bytes at which it looks for the next (CpioArchive).
  const added = Buffer.concat([
    moduleArchive(await choice.inOrder(await PackageModules.open(modules))),
    // An initial RAM disk of one's own mounts shares and sets up cards itself.
    ...(options.initrd === undefined
      ? [
          consoleArchive(options.console === true, options.port),
          shareMounts(options.share),
          networkArchive(options.net),
        ]
      : []),
    overlay,
  ]);
  const image: GuestImageOptions = {
    image: await readImage(kernel),
    ...(vmlinux === undefined ? {} : { vmlinux: await readImage(vmlinux) }),
    initrd: Buffer.concat([await readImage(initrd), added]),
    cmdline: debianCommandLine(extra.filter((parameter) => parameter !== undefined).join(' ')),
    ...(await partsOfGuest({ ...options, module: [] })),
  };
  // An archive is in memory twice until it is unpacked. How large an initial RAM disk of one's own
  // is after that is not known: such a guest may need --memory.
  const addedMiB = Math.ceil((2 * added.length) / 2 ** 20);
  const ownMiB = rootDisk === undefined ? DEBIAN_MEMORY_MIB[architecture] : ROOT_MEMORY_MIB;
  return {
    name: 'debian',
    image,
    memoryMiB: ownMiB + addedMiB,
    // The kernel prints nothing for some seconds, until user space starts.
    announce: `Debian's kernel ${version} boots, which takes some seconds`,
    ...(rootDisk === undefined ? {} : { rootDisk }),
  };
}

/**
 * The groups of modules that the options need. They are loaded before user space is announced. An
 * initial RAM disk of one's own replaces the one that loads them.
 */
function impliedModules(options: RunOptions): ReadonlySet<ModuleGroup> {
  const groups = new Set<ModuleGroup>();
  if (options.initrd !== undefined) return groups;
  if (options.entropy === true) groups.add('entropy');
  if (options.console === true || options.port.length > 0) groups.add('console');
  if (options.net.length > 0) groups.add('net');
  if (options.disk.length > 0 || options.root !== undefined) groups.add('block').add('ext4');
  if (options.share.length > 0) groups.add('share');
  return groups;
}

/** With `--root`, init copies the files: otherwise the root file system would cover them. */
async function overlayOf({ overlay, root }: RunOptions): Promise<Buffer> {
  if (overlay === undefined) return Buffer.alloc(0);
  if (root === undefined) return overlayArchive(overlay);
  return Buffer.concat([new CpioArchive().directory(OVERLAY).bytes(), await overlayArchive(overlay, `${OVERLAY}/`)]);
}

/** The image is never written: an overlay has the changes. */
async function rootDiskOf(
  overlay: string | true,
  options: RunOptions,
  reporter: Reporter,
  ending: SessionEnding,
): Promise<DiskOption> {
  const { mirror } = options;
  // upcall's own script: rootImage starts it again, as the guest that builds the image. Node always
  // runs a script here.
  const program = process.argv[1] ?? '';
  const file = await inTime(options, reporter, ending, (progress) =>
    rootImage({ progress, mirror, program, signal: ending.signal }),
  );
  return {
    text: '--root',
    file,
    inOwnThread: false,
    isReadOnly: false,
    queues: 1,
    overlay: overlay === true ? temporaryFile() : overlay,
  };
}

/** Removed at the end of the process. */
function temporaryFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-root-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'changes.qcow2');
}

/** Does `work`, which `--timeout` and signals end. */
function inTime<T>(
  options: RunOptions,
  reporter: Reporter,
  ending: SessionEnding,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  return ending.cleansUp(withProgress(reporter, work)).catch((error: unknown) => {
    if (ending.isTimedOut && options.timeout !== undefined) throw notInTime(options.timeout);
    throw error;
  });
}

function notInTime(timeoutMs: number): UpcallError {
  return new UpcallError('TIMED_OUT', `Debian was not fetched within the ${timeoutMs / 1000} s of --timeout`, {
    remedy: 'Run upcall run debian once without --timeout: later runs take it from the cache',
  });
}

/** Shows the steps as a spinner on a terminal, otherwise each as a line. */
async function withProgress<T>(reporter: Reporter, work: (progress: Progress) => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) {
    let last = '';
    return work((step) => {
      if (step !== last) reporter.line(step);
      last = step;
    });
  }
  // By itself it would end the process on a signal, before the fetch has removed its files.
  const spinner = yoctoSpinner({ stream: process.stderr, handleSignals: false });
  try {
    return await work((step, part) => {
      spinner.text = `upcall: ${step}${part === undefined ? '' : `: ${part}`}`;
      if (!spinner.isSpinning) spinner.start();
    });
  } finally {
    spinner.stop();
  }
}
