/**
 * packageVersion: the version of upcall from its package.json.
 *
 * Called by: the command line, and openLivePage, whose page shows it.
 */

import { readFileSync } from 'node:fs';

export function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
