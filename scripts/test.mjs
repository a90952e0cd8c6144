// Runs the built tests, all of them or those whose path contains one of the given words. Node 20's test runner takes no
// glob patterns and later ones take no folders, so the files are listed here.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const words = process.argv.slice(2);
const files = readdirSync(dist, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.test.js') && (words.length === 0 || words.some((word) => file.includes(word))))
  .sort()
  .map((file) => dist + file);
if (files.length === 0) {
  console.error(`no built test matches ${words.join(' ')}; run npm run build first`);
  process.exit(2);
}
const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', ...files], { stdio: 'inherit' });
process.exit(status ?? 1);
