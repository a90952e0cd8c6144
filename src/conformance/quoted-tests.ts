/**
 * Quoted tests: checks that the source files and test names that docs/ quotes exist.
 *
 * Called by: parity-table.test.ts and threat-model.test.ts, with each row of a table of documents
 * in docs/. A row names a test by its file in backquotes, then its name in quotes.
 */

import { existsSync, readFileSync } from 'node:fs';

const SRC = new URL('../../src/', import.meta.url);

export interface Quoted {
  /** Files and tests that a line names and that do not exist. */
  readonly missing: readonly string[];
  readonly files: readonly string[];
  /** Test names, each in quotes after its file. */
  readonly names: readonly string[];
}

/** Files below src/ in backquotes, and test names in quotes after them. */
export function quotedIn(line: string): Quoted {
  const missing: string[] = [];
  const files = [...line.matchAll(/`([\w./-]+\.ts)`/g)].map((match) => match[1] ?? '');
  missing.push(...files.filter((file) => !existsSync(new URL(file, SRC))));
  const names: string[] = [];
  let text = '';
  for (const [, file, name] of line.matchAll(/`([\w./-]+\.test\.ts)`|"([^"]+)"/g)) {
    if (file !== undefined) text = missing.includes(file) ? '' : plain(readFileSync(new URL(file, SRC), 'utf8'));
    else if (name !== undefined) {
      names.push(name);
      if (!text.includes(plain(name))) missing.push(`"${name}"`);
    }
  }
  return { missing, files, names };
}

/** Replaces the variants of quotes in a source file. */
function plain(text: string): string {
  return text.replaceAll('’', "'").replaceAll("\\'", "'");
}
