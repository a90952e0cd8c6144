/**
 * readKernelPackage: what a guest needs of a package linux-image-*: the kernel and some of its
 * modules. The package has no modules.dep (depmod writes it where the package is installed), so the
 * dependencies come from the modules themselves.
 *
 * Called by: fetchDebian.
 */

import { basename } from 'node:path';
import { readDeb } from './deb-file.js';
import { moduleName, readKernelModule, withoutSignature, type KernelModule } from './kernel-module.js';

export interface KernelPackage {
  /** The bzImage. Undefined if the package has none. */
  readonly kernel: Uint8Array | undefined;
  readonly modules: readonly KernelModule[];
  /** The names of the modules that are part of the kernel. */
  readonly builtIn: readonly string[];
}

const KERNEL = /^boot\/vmlinuz-/;
/** Lists the modules that are part of the kernel, one path in a line. */
const BUILT_IN = /^(?:usr\/)?lib\/modules\/[^/]+\/modules\.builtin$/;
const MODULE = /\.ko$/;

/**
 * Reads the kernel, the modules `names` and all that they depend on. Modules that the package does
 * not have are left out. Throws what `readDeb` throws, and IMAGE_MALFORMED for a damaged module.
 */
export async function readKernelPackage(
  file: string,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<KernelPackage> {
  let kernel: Uint8Array | undefined;
  let builtIn: readonly string[] = [];
  const modules = new Map<string, KernelModule>();
  /** Modules that were searched for, found or not: none is searched for twice. */
  const asked = new Set<string>();
  // Each round unpacks the whole package. One is enough if `names` includes all dependencies.
  for (let missing = names.map(moduleName); missing.length > 0;) {
    const wanted = new Set(missing);
    for (const name of missing) asked.add(name);
    const isFirst = kernel === undefined && modules.size === 0;
    const isWanted = (path: string): boolean =>
      MODULE.test(path) ? wanted.has(nameOf(path)) : isFirst && (KERNEL.test(path) || BUILT_IN.test(path));
    for (const { path, content } of await readDeb(file, 'data', isWanted, signal)) {
      if (KERNEL.test(path)) kernel ??= content;
      else if (BUILT_IN.test(path)) builtIn = Buffer.from(content).toString('latin1').trim().split('\n').map(nameOf);
      else if (MODULE.test(path)) {
        const module = readKernelModule(basename(path), withoutSignature(content));
        modules.set(module.name, module);
      }
    }
    const dependencies = [...modules.values()].flatMap(({ depends }) => depends);
    missing = [...new Set(dependencies)].filter((name) => !asked.has(name) && !builtIn.includes(name));
  }
  return { kernel, modules: [...modules.values()], builtIn };
}

/** "kernel/drivers/virtio-rng.ko" → "virtio_rng". */
function nameOf(path: string): string {
  return moduleName(basename(path, '.ko'));
}
