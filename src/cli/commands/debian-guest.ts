/** The guest of `upcall run debian`: Debian's kernel and busybox, fetched on first use. */

import yoctoSpinner from 'yocto-spinner';
import type { GuestImageOptions } from '../../hypervisor/boot/guest-image.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { readImage } from '../../vm/image-file.js';
import { debianCommandLine } from '../debian/command-line.js';
import { fetchDebian } from '../debian/fetch-debian.js';
import { runParameter, sizeParameter } from '../debian/initramfs.js';
import type { Reporter } from '../reporter.js';
import { ENDING_SIGNALS } from '../session-end.js';
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

  const { kernel, vmlinux, initrd, version } = await endable(options.timeout, (signal) =>
    withProgress(reporter, (progress) => fetchDebian({ progress, signal })),
  );
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

/**
 * Does work that `--timeout` and signals end early: there is no session yet. The work then removes
 * what it has begun. After a signal the process ends as the signal's default has it.
 */
async function endable<T>(timeoutMs: number | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const endings = ENDING_SIGNALS.map((signal) => ({ signal, listener: () => stop.abort(new EndedBySignal(signal)) }));
  for (const { signal, listener } of endings) process.on(signal, listener);
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => stop.abort(notInTime(timeoutMs)), timeoutMs);
  try {
    return await work(stop.signal);
  } catch (error) {
    if (!(error instanceof EndedBySignal)) throw error;
    for (const { signal, listener } of endings) process.off(signal, listener);
    process.kill(process.pid, error.signal);
    return await new Promise<never>(() => undefined);
  } finally {
    clearTimeout(timer);
    for (const { signal, listener } of endings) process.off(signal, listener);
  }
}

class EndedBySignal extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
    this.signal = signal;
  }
}

function notInTime(timeoutMs: number): UpcallError {
  return new UpcallError('TIMED_OUT', `Debian was not fetched within the ${timeoutMs / 1000} s of --timeout`, {
    remedy: 'Run upcall run debian once without --timeout: later runs take it from the cache',
  });
}

/** Shows the steps as a spinner on a terminal, otherwise as lines. */
async function withProgress<T>(reporter: Reporter, work: (progress: (step: string) => void) => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return work((step) => reporter.line(step));
  // By itself it would end the process on a signal, before the fetch has removed its files.
  const spinner = yoctoSpinner({ stream: process.stderr, handleSignals: false });
  try {
    return await work((step) => {
      spinner.text = `upcall: ${step}`;
      if (!spinner.isSpinning) spinner.start();
    });
  } finally {
    spinner.stop();
  }
}
