/**
 * moduleArchive: a second archive for the kernel, which unpacks it after the initial RAM file
 * system. It has the modules of one run, and the order to load them in.
 *
 * Called by: debianGuest.
 */

import { CpioArchive } from './cpio-archive.js';
import type { KernelModule } from './kernel-module.js';
import { MODULE_FOLDER, MODULE_ORDER } from './initramfs.js';

/** A module and what insmod gets after its file: "name=value …". */
export interface ModuleToLoad {
  readonly module: KernelModule;
  readonly parameters?: string;
}

/** `modules` in the order in which they are loaded. Without modules, no bytes. */
export function moduleArchive(modules: readonly ModuleToLoad[]): Buffer {
  if (modules.length === 0) return Buffer.alloc(0);
  const archive = new CpioArchive();
  for (const path of parents(`${MODULE_FOLDER}/x`)) archive.directory(path);
  for (const { module } of modules) archive.file(`${MODULE_FOLDER}/${module.name}.ko`, module.bytes);
  const lines = modules.map(({ module, parameters = '' }) => `${module.name} ${parameters}\n`);
  archive.file(MODULE_ORDER, lines.join(''));
  return archive.bytes();
}

/** "a/b/c" → "a", "a/b". */
function parents(path: string): string[] {
  const names = path.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}
