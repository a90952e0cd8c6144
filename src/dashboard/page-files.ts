/**
 * PageFiles: the built page as it lies in the package, read once into memory when the server starts. Only what was read
 * can be asked for, so no path of a request ever reaches the file system.
 */

import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';

/** More than any page of ours; a wrong folder is not read whole. */
const MAX_FILES = 200;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
};

export interface PageFile {
  readonly type: string;
  readonly bytes: Uint8Array;
  /** Its name has a hash of what it holds: it never changes. */
  readonly isHashed: boolean;
}

/** By path, `/` for the page itself; empty when it was not built. Vite puts what it hashes into `assets/`. */
export async function readPageFiles(folder: URL): Promise<ReadonlyMap<string, PageFile>> {
  const files = new Map<string, PageFile>();
  let names: string[];
  try {
    names = await readdir(folder, { recursive: true });
  } catch {
    return files;
  }
  for (const name of names.slice(0, MAX_FILES)) {
    const path = name.replaceAll('\\', '/');
    const type = TYPES[extname(path)];
    if (type === undefined) continue;
    const bytes = await readFile(new URL(path, folder));
    files.set(path === 'index.html' ? '/' : `/${path}`, { type, bytes, isHashed: path.startsWith('assets/') });
  }
  return files.has('/') ? files : new Map();
}
