// Removes compiled files whose source was moved or deleted: tsc leaves them behind, and `npm test`
// would go on running the tests among them. On its own:
// `node scripts/prune-outputs.mjs SOURCES OUTPUTS`.

import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

/** What tsc makes of a source, by its ending. */
const OUTPUT = /\.(?:d\.ts|js|js\.map)$/;
const SOURCE_ENDINGS = ['.ts', '.d.ts'];
/** Written by bundlers, which empty their folders themselves. */
const BUNDLED = [join('dashboard', 'page') + sep, `bundle${sep}`];

/**
 * @param {string} sources folder of the sources
 * @param {string} outputs folder of what was compiled from them
 * @returns {string[]} the removed files, relative to `outputs`
 */
export function pruneOutputs(sources, outputs) {
  const paths = readdirSync(outputs, { recursive: true }).map(String);
  const removed = paths.filter((path) => {
    if (!OUTPUT.test(path) || BUNDLED.some((folder) => path.startsWith(folder))) return false;
    const stem = join(sources, path.replace(OUTPUT, ''));
    return !SOURCE_ENDINGS.some((ending) => existsSync(stem + ending));
  });
  for (const path of removed) rmSync(join(outputs, path));
  // The folders that are empty now, the innermost first.
  for (let folder of new Set(removed.map(dirname)))
    for (; folder !== '.' && readdirSync(join(outputs, folder)).length === 0; folder = dirname(folder))
      rmdirSync(join(outputs, folder));
  return removed;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const [sources, outputs] = argv.slice(2);
  if (sources === undefined || outputs === undefined) {
    console.error('Usage: node scripts/prune-outputs.mjs SOURCES OUTPUTS');
    process.exit(2);
  }
  for (const file of pruneOutputs(sources, outputs)) console.log(file);
}
