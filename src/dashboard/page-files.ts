/**
 * Page files: the files of the built page (page/, built by Vite), read into memory when the server
 * starts. Only these can be requested: the path of a request never reaches the file system.
 *
 * Called by: PageServer.
 */

import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';

/** Limit of the folder's entries that are read, in case the folder is a wrong one. */
const MAX_FILES = 200;

/** Content types by extension. Other files are not served. */
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
  /** Whether its name has a hash of its content, so that browsers may cache it forever. */
  readonly isHashed: boolean;
}

/**
 * The files by the path of a request. The page itself is `/`. Empty if the page was not built.
 * Rejects if a file cannot be read. Vite puts files with a hash in their name into `assets/`.
 */
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
