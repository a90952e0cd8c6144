/**
 * ModuleChoice: which modules a run of debian loads: those that its options imply, and those of
 * `--module`, which are files of the host or names of the package's modules.
 *
 * Called by: debianGuest, which reads the files before it fetches the kernel.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { readImage } from '../../vm/image-file.js';
import type { ModuleToLoad } from './module-archive.js';
import { moduleName, readKernelModule, type KernelModule } from './kernel-module.js';
import { MODULE_GROUPS, type ModuleGroup } from './module-groups.js';
import type { PackageModules } from './package-modules.js';

/** A `--module FILE[,TEXT]`. The text is that of `parseModule`. */
export interface ModuleArgument {
  readonly file: string;
  readonly text: string;
}

const NAME = /^[\w-]+$/;

export class ModuleChoice {
  /** Modules of the kernel's package. */
  readonly #names: readonly string[];
  /** Modules of the host's files. */
  readonly #files: readonly KernelModule[];
  /** By the modules' names. */
  readonly #parameters: ReadonlyMap<string, string>;

  /**
   * Rejects with OPTION_INVALID for what is not a module or is given twice, and for parameters with
   * a line break, and as readImage and readKernelModule do.
   */
  static async read(groups: ReadonlySet<ModuleGroup>, given: readonly ModuleArgument[]): Promise<ModuleChoice> {
    const names: string[] = [...groups].flatMap((group) => MODULE_GROUPS[group]);
    const files: KernelModule[] = [];
    const parameters = new Map<string, string>();
    for (const { file, text } of given) {
      let name: string;
      if (file.endsWith('.ko')) {
        const module = readKernelModule(file, await readImage(file));
        files.push(module);
        name = module.name;
      } else if (NAME.test(file)) {
        name = moduleName(file);
        names.push(name);
      } else
        throw invalid(
          `--module ${file}: debian takes kernel modules`,
          'Give an uncompressed .ko file, or the name of a module',
        );
      if (parameters.has(name)) throw invalid(`--module ${file}: the module ${name} is given twice`, 'Leave out one');
      parameters.set(name, parametersOf(file, text));
    }
    return new ModuleChoice(names, files, parameters);
  }

  private constructor(
    names: readonly string[],
    files: readonly KernelModule[],
    parameters: ReadonlyMap<string, string>,
  ) {
    this.#names = names;
    this.#files = files;
    this.#parameters = parameters;
  }

  /**
   * The modules to load, in this order. Rejects with OPTION_INVALID for a file that was built for
   * another kernel, and for a module that is missing.
   */
  async inOrder(modules: PackageModules): Promise<ModuleToLoad[]> {
    if (this.#names.length === 0 && this.#files.length === 0) return [];
    const expected = await modules.vermagic();
    const release = expected?.split(' ')[0] ?? '';
    for (const { name, vermagic } of this.#files)
      if (expected !== undefined && vermagic !== expected)
        throw invalid(
          `the module ${name} is built for the kernel "${vermagic}", and Debian's is "${expected}"`,
          `Build it with the package linux-headers-${release} for ${release.endsWith('-amd64') ? 'amd64' : 'i386'}`,
        );
    const order = await modules.inOrder(this.#names, this.#files);
    return order.map((module) => ({ module, parameters: this.#parameters.get(module.name) ?? '' }));
  }
}

/** Without a comma, the text is the file's name. */
function parametersOf(file: string, text: string): string {
  const parameters = text === file ? '' : text;
  if (/[\n\r]/.test(parameters))
    throw invalid(`--module ${file}: the parameters contain a line break`, 'Separate parameters by blanks');
  return parameters;
}

function invalid(fact: string, remedy: string): UpcallError {
  return new UpcallError('OPTION_INVALID', fact, { remedy });
}
