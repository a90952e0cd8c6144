/**
 * Page files: the built page, read into memory when the server starts. Only these files can be
 * requested: the path of a request never reaches the file system.
 */

import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';

/** More than the page has. It bounds what is read of a wrong folder. */
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
  /** Its name contains a hash of its content: it never changes. */
  readonly isHashed: boolean;
}

/**
 * By path. The page itself is `/`. Empty if the page was not built. Vite puts hashed files into
 * `assets/`.
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
