// Runs the built tests: all, or those whose path contains one of the given words. The files are
// listed here because Node 20's test runner takes no glob patterns and later ones take no folders.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = process.env.UPCALL_DIST ?? join(here, '../dist');
/** One more than cores: many tests wait for processes that they have started. */
const filesAtOnce = availableParallelism() + 1;
/** Ends a file that hangs. */
const FILE_LIMIT_MS = 300_000;
/** Guests with disks, networks and folders take minutes: `npm run test:guests`. */
const LONG = ['cli/e2e/disks.', 'cli/e2e/network.', 'cli/e2e/share.'];
const words = process.argv.slice(2);
const files = readdirSync(dist, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => (words.length === 0 ? !isLong(file) : words.some((word) => file.includes(word))))
  .sort()
  .map((file) => join(dist, file));
if (files.length === 0) {
  console.error(`no built test matches ${words.join(' ')}. Run npm run build first`);
  process.exit(2);
}
if (words.length === 0)
  console.log(`left out, see npm run test:guests: ${LONG.map((name) => `${name}test`).join(', ')}`);
const options = [
  '--test',
  `--test-concurrency=${filesAtOnce}`,
  `--test-timeout=${FILE_LIMIT_MS}`,
  `--test-reporter=${join(here, 'test-reporter.mjs')}`,
];
const { status } = spawnSync(process.execPath, [...options, ...files], { stdio: 'inherit' });
process.exit(status ?? 1);

/** @param {string} file */
function isLong(file) {
  return LONG.some((name) => file.replaceAll('\\', '/').includes(name));
}
