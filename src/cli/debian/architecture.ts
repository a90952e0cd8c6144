/**
 * Architecture: the processors that packages are for, in Debian's words, and which kernel
 * findKernelPackage chooses for them.
 *
 * Called by: fetchDebian; openSource, PrivateApt and DebianMirror for the name;
 * scripts/kvm-machine.mjs.
 */

import type { PackageSource } from './package-source.js';

export type Architecture = 'i386' | 'amd64';

interface KernelNames {
  /** Packages that depend on the current kernel. */
  readonly current: readonly string[];
  readonly kernel: RegExp;
}

const KERNELS: Readonly<Record<Architecture, KernelNames>> = {
  i386: {
    // The one for older processors first: it needs the fewest features.
    current: ['linux-image-686', 'linux-image-686-pae'],
    kernel: /^linux-image-[0-9][^ ]*-686(-pae)?$/,
  },
  amd64: { current: ['linux-image-amd64'], kernel: /^linux-image-[0-9][^ ]*[0-9]-amd64$/ },
};

/** The package to name if there is no kernel. */
export function currentKernelPackage(architecture: Architecture): string {
  return KERNELS[architecture].current[0] as string;
}

/** The name and version of the kernel's package. Undefined if no source has one. */
export async function findKernelPackage(
  source: PackageSource,
  architecture: Architecture,
): Promise<{ name: string; version: string } | undefined> {
  const { current, kernel } = KERNELS[architecture];
  const names: string[] = [];
  for (const name of current) {
    const depends = (await source.show(name))?.get('Depends') ?? '';
    names.push(...depends.split(/[,|]/).map((dependency) => dependency.trim().split(' ')[0] as string));
  }
  // If no package points to the current kernel, or no source has that one, take the newest.
  const newestFirst = (a: string, b: string): number => b.localeCompare(a, 'en', { numeric: true });
  names.push(...(await source.names('linux-image-')).filter((name) => !name.includes('-rt-')).sort(newestFirst));
  for (const name of names.filter((candidate) => kernel.test(candidate))) {
    const version = (await source.show(name))?.get('Version');
    if (version !== undefined) return { name, version };
  }
  return undefined;
}
