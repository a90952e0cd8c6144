/**
 * The corpus: inputs worth replaying, one file each in conformance/corpus/TARGET/, sorted by name.
 * Called by: `npm run fuzz` and tests.
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CORPUS = fileURLToPath(new URL('../../conformance/corpus/', import.meta.url));

/** `root`: the folder of all corpora. Default: that of this checkout. */
export function corpusFolder(target: string, root = CORPUS): string {
  return join(root, target);
}

export function readCorpus(target: string, root = CORPUS): { readonly name: string; readonly bytes: Uint8Array }[] {
  const folder = corpusFolder(target, root);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.bin'));
  return names.sort().map((name) => ({ name, bytes: Uint8Array.from(readFileSync(join(folder, name))) }));
}

/**
 * Writes an input and returns its path, named by kind and hash. `kept`: it reached new code.
 * `crash`: it was a finding, and stays as a test of its repair.
 */
export function addToCorpus(target: string, kind: 'kept' | 'crash', bytes: Uint8Array, root = CORPUS): string {
  const folder = corpusFolder(target, root);
  mkdirSync(folder, { recursive: true });
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  const path = join(folder, `${kind}-${digest}.bin`);
  writeFileSync(path, bytes);
  return path;
}
