/**
 * openSource: where packages are fetched from: the machine's own apt, or a mirror by HTTPS if the
 * operator names one or there is no apt (other distributions, macOS, Windows).
 *
 * Called by: fetchDebian, rootImage and scripts/kvm-machine.mjs.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { Architecture } from './architecture.js';
import { ARCHIVE_KEYS } from './archive-key.js';
import { DebianMirror } from './debian-mirror.js';
import type { PackageSource, Progress } from './package-source.js';
import { PrivateApt } from './private-apt.js';

export interface SourceOptions {
  /** Default: i386. */
  readonly architecture?: Architecture;
  /** The URL of a mirror. Default: apt, and without apt that of `mirrorWithoutApt`. */
  readonly mirror?: string | undefined;
  /** Default: Debian's own. */
  readonly mirrorWithoutApt?: string;
  /** Of the mirror's signatures; apt has the machine's. Default: Debian's. */
  readonly keys?: readonly Uint8Array[];
  readonly signal?: AbortSignal | undefined;
}

/** Debian's own network of mirrors. */
export const DEFAULT_MIRROR = 'https://deb.debian.org/debian';

/**
 * Opens the source and updates its lists. Packages are kept in a folder below `work`. `problem`
 * says why lists are missing, or is "". Rejects as `PackageSource.update` does, but TOOL_MISSING
 * from apt leads to the mirror.
 */
export async function openSource(
  work: string,
  progress: Progress,
  options: SourceOptions,
): Promise<{ source: PackageSource; problem: string }> {
  const { architecture = 'i386', mirror, mirrorWithoutApt = DEFAULT_MIRROR, keys = ARCHIVE_KEYS, signal } = options;
  if (mirror === undefined) {
    const folder = join(work, 'apt');
    await mkdir(folder);
    const source = await PrivateApt.open({ folder, architecture, progress, signal });
    try {
      return { source, problem: await source.update() };
    } catch (error) {
      if (!(error instanceof UpcallError) || error.code !== 'TOOL_MISSING') throw error;
    }
  }
  const folder = join(work, 'mirror');
  await mkdir(folder);
  const url = mirror ?? mirrorWithoutApt;
  const source = new DebianMirror({ architecture, url, folder, keys, progress, signal });
  return { source, problem: await source.update() };
}
