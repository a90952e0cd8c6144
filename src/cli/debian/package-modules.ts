/**
 * PackageModules: the modules that were kept of the kernel's package, in a folder of the cache, and
 * the order in which they are loaded.
 *
 * Called by: fetchDebian writes the folder; debianGuest reads it.
 */

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UpcallError } from '../../io-request/upcall-error.js';
import { moduleName, readKernelModule, type KernelModule } from './kernel-module.js';
import type { KernelPackage } from './kernel-package.js';

/** Lists the modules that are part of the kernel, one name in a line. */
const BUILT_IN = 'builtin';

/** Writes the modules to `folder`, which is created. */
export async function writeModules(folder: string, { modules, builtIn }: KernelPackage): Promise<void> {
  await mkdir(folder);
  for (const { name, bytes } of modules) await writeFile(join(folder, fileName(name)), bytes);
  await writeFile(join(folder, BUILT_IN), builtIn.map((name) => `${name}\n`).join(''));
}

export class PackageModules {
  readonly #folder: string;
  readonly #builtIn: ReadonlySet<string>;

  static async open(folder: string): Promise<PackageModules> {
    const builtIn = await readFile(join(folder, BUILT_IN), 'utf8').catch(() => '');
    return new PackageModules(folder, builtIn);
  }

  private constructor(folder: string, builtIn: string) {
    this.#folder = folder;
    this.#builtIn = new Set(builtIn.split('\n'));
  }

  /** The names of the kept modules. */
  async names(): Promise<string[]> {
    const files = await readdir(this.#folder);
    return files.filter((file) => file.endsWith('.ko')).map((file) => basename(file, '.ko'));
  }

  /**
   * What the kernel's modules are built for. The kernel refuses a module with another one.
   * Undefined if the kernel has no modules.
   */
  async vermagic(): Promise<string | undefined> {
    const [name] = await this.names();
    return name === undefined ? undefined : (await this.#read(name, undefined))?.vermagic;
  }

  /**
   * The modules `names` with their dependencies, each once, in the order in which they can be
   * loaded. `others` are modules of the operator: they need not be in the package. Modules that are
   * part of the kernel are left out. Rejects with OPTION_INVALID for a module that does not exist.
   */
  async inOrder(names: readonly string[], others: readonly KernelModule[] = []): Promise<KernelModule[]> {
    const order = new Map<string, KernelModule>();
    const own = new Map(others.map((module) => [module.name, module]));
    const asked = new Set<string>();
    const add = async (name: string, neededBy?: string): Promise<void> => {
      // A cycle of dependencies, which a kernel's build refuses, ends here, too.
      if (asked.has(name)) return;
      asked.add(name);
      const module = own.get(name) ?? (await this.#read(name, neededBy));
      if (module === undefined) return;
      for (const dependency of module.depends) await add(dependency, name);
      order.set(name, module);
    };
    for (const name of names) await add(moduleName(name));
    for (const { name } of others) await add(name);
    return [...order.values()];
  }

  async #read(name: string, neededBy: string | undefined): Promise<KernelModule | undefined> {
    if (this.#builtIn.has(name)) return undefined;
    const bytes = await readFile(join(this.#folder, fileName(name))).catch(() => undefined);
    if (bytes !== undefined) return readKernelModule(fileName(name), bytes);
    const reason = neededBy === undefined ? '' : `, which ${neededBy} needs`;
    throw new UpcallError('OPTION_INVALID', `there is no module ${name} for Debian's kernel${reason}`, {
      remedy: `Give a file, for example --module ./${name}.ko, or one of ${(await this.names()).join(', ')}`,
    });
  }
}

function fileName(name: string): string {
  return `${moduleName(name)}.ko`;
}
