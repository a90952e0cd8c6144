// Runs the built tests, all of them or those whose path contains one of the given words. Node 20's
// test runner takes no glob patterns and later ones take no folders, so the files are listed here.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = process.env.UPCALL_DIST ?? join(here, '../dist');
/** The runner's own choice leaves a core to itself, which is half of a machine with two. */
const filesAtOnce = Math.max(2, availableParallelism() - 1);
/** A file that hangs must not hang the run. */
const FILE_LIMIT_MS = 900_000;
const words = process.argv.slice(2);
const files = readdirSync(dist, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.test.js') && (words.length === 0 || words.some((word) => file.includes(word))))
  .sort()
  .map((file) => join(dist, file));
if (files.length === 0) {
  console.error(`no built test matches ${words.join(' ')}; run npm run build first`);
  process.exit(2);
}
const options = [
  '--test',
  `--test-concurrency=${filesAtOnce}`,
  `--test-timeout=${FILE_LIMIT_MS}`,
  `--test-reporter=${join(here, 'test-reporter.mjs')}`,
];
const { status } = spawnSync(process.execPath, [...options, ...files], { stdio: 'inherit' });
process.exit(status ?? 1);
