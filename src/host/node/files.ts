/**
 * Files and modules of Node: the methods of Host that read them. Loaded by node-host.ts on demand.
 */

import { mkdir, readFile as readFileOfNode, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export function readFile(file: string): Promise<Uint8Array<ArrayBuffer>> {
  return readFileOfNode(file);
}

/**
 * Node's own recursive mkdir never returns where a folder exists and takes no folder in it, as in
 * /proc.
 */
export async function makeFolder(folder: string): Promise<void> {
  if (await makeOne(folder)) return;
  await makeFolder(dirname(folder));
  await mkdir(folder).catch((error: unknown) => {
    // Another process was faster.
    if (codeOf(error) !== 'EEXIST') throw error;
  });
}

/** False if the folder above is missing. */
async function makeOne(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' && dirname(folder) !== folder) return false;
    if (codeOf(error) === 'EEXIST' && (await stat(folder)).isDirectory()) return true;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/**
 * Where Node finds the package from here: beside upcall in the project that uses it, or in our own
 * node_modules.
 */
export function packageFile(file: string): string {
  return createRequire(import.meta.url).resolve(file);
}

export async function importModule(module: string): Promise<Record<string, unknown>> {
  if (!/\.[cm]?ts$/.test(module))
    try {
      return (await import(module)) as Record<string, unknown>;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      const { withSyntaxPlace } = await import('./syntax-error.js');
      throw await withSyntaxPlace(error, module);
    }
  // Node 20 does not read TypeScript itself. Loaded on demand: most programs have no such module.
  const { createJiti } = await import('jiti');
  const file = module.startsWith('file:') ? fileURLToPath(module) : module;
  return createJiti(import.meta.url).import<Record<string, unknown>>(file);
}
