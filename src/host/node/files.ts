/**
 * Files and modules by Node: the methods of Host that read files, create files and folders, and
 * load modules. host.ts describes them.
 *
 * Called by: node-host.ts, which loads it on demand; recorded-facts.ts, for `makeFolder`.
 */

import { constants } from 'node:fs';
import { mkdir, open, readFile as readFileOfNode, stat, type FileHandle } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FileTooLargeError, type ReadLimits } from '../file-too-large.js';
import type { OutputFile } from '../output-file.js';
import { readPipe } from './pipe-file.js';

const CHUNK_BYTES = 2 ** 20;

export async function readFile(file: string, limits?: ReadLimits): Promise<Uint8Array<ArrayBuffer>> {
  // If stat(2) fails, reading fails too, with an error that names the file.
  const isPipe = (await stat(file).catch(() => undefined))?.isFIFO() === true;
  if (isPipe) return readPipe(file, limits?.streamBytes);
  if (limits === undefined) return readFileOfNode(file);
  const handle = await open(file);
  try {
    const status = await handle.stat();
    // Files of /proc say that they are regular and have no bytes, and end all the same.
    const isStream = !status.isFile() || status.size === 0;
    if (!isStream && status.size > limits.fileBytes) throw new FileTooLargeError(file, limits.fileBytes, 'file');
    return await (isStream ? readStream(file, handle, limits.streamBytes) : handle.readFile());
  } finally {
    await handle.close();
  }
}

/**
 * All bytes until the end. Rejects with FileTooLargeError if there are more than `limitBytes`: a
 * device may never end.
 */
async function readStream(file: string, handle: FileHandle, limitBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(CHUNK_BYTES), 0, CHUNK_BYTES, null);
    if (bytesRead === 0) return Buffer.concat(chunks, length);
    length += bytesRead;
    if (length > limitBytes) throw new FileTooLargeError(file, limitBytes, 'stream');
    chunks.push(buffer.slice(0, bytesRead));
  }
}

export async function createFile(file: string): Promise<OutputFile> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK } = constants;
  // A pipe without a reader would wait for one. Windows has neither, and the flag is undefined.
  const handle = await open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK);
  return {
    write: async (bytes) => {
      for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
    },
    close: () => handle.close(),
  };
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
