/** The guest of `upcall run debian`: Debian's kernel and busybox, fetched on first use. */

import yoctoSpinner from 'yocto-spinner';
import type { GuestImageOptions } from '../../hypervisor/boot/guest-image.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { readImage } from '../../vm/image-file.js';
import { debianCommandLine } from '../debian/command-line.js';
import { fetchDebian } from '../debian/fetch-debian.js';
import { runParameter, sizeParameter } from '../debian/initramfs.js';
import type { Reporter } from '../reporter.js';
import { partsOfGuest, type Guest, type RunOptions } from './run-options.js';

/** Enough for the kernel, its RAM disk and a few processes. */
const DEBIAN_MEMORY_MIB = 128;

/**
 * Fetches the guest or takes it from the cache. Throws TOOL_MISSING or DOWNLOAD_FAILED if neither
 * is possible.
 */
export async function debianGuest(options: RunOptions, reporter: Reporter): Promise<Guest> {
  for (const [option, value] of [
    ['--kernel', options.kernel],
    ['--kind', options.kind],
    ['--tour', options.tour],
    ['--module', options.module[0]],
  ] as const)
    if (value !== undefined)
      throw new UpcallError('OPTION_INVALID', `debian cannot be combined with ${option}`, {
        remedy: `Leave out ${option}`,
      });

  const { kernel, vmlinux, initrd, version } = await withProgress(reporter, (progress) => fetchDebian({ progress }));
  const extra = [
    process.stdin.isTTY ? sizeParameter(process.stdout) : undefined,
    options.cmdline,
    options.run === undefined ? undefined : runParameter(options.run),
  ];
  // The kernel prints nothing for some seconds, until user space starts.
  if (process.stdin.isTTY) reporter.line(`Debian's kernel ${version} boots, which takes some seconds`);
  const image: GuestImageOptions = {
    image: await readImage(kernel),
    ...(vmlinux === undefined ? {} : { vmlinux: await readImage(vmlinux) }),
    initrd: await readImage(initrd),
    cmdline: debianCommandLine(extra.filter((parameter) => parameter !== undefined).join(' ')),
    ...(await partsOfGuest(options)),
  };
  return { name: 'debian', image, memoryMiB: DEBIAN_MEMORY_MIB };
}

/** Shows the steps as a spinner on a terminal, otherwise as lines. */
async function withProgress<T>(reporter: Reporter, work: (progress: (step: string) => void) => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return work((step) => reporter.line(step));
  // On a signal it restores the cursor and ends the process: there is no session yet.
  const spinner = yoctoSpinner({ stream: process.stderr });
  try {
    return await work((step) => {
      spinner.text = `upcall: ${step}`;
      if (!spinner.isSpinning) spinner.start();
    });
  } finally {
    spinner.stop();
  }
}
