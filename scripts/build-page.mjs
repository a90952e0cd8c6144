// Builds the dashboard's page when something of it is newer than what was built: bundling takes seconds, and most builds
// are for other reasons. `--force` builds it anyway.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const built = `${root}dist/dashboard/page/index.html`;
/** Files and folders that the page is made of. */
const SOURCES = ['src/dashboard', 'src/io-request', 'vite.config.js', 'tsconfig.json', 'package-lock.json'];

/** @param {string} path @returns {number} when it, or anything in it, was changed */
function newest(path) {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  return Math.max(mtimeMs, ...readdirSync(path).map((name) => newest(`${path}/${name}`)));
}

const isNeeded =
  process.argv.includes('--force') ||
  !existsSync(built) ||
  SOURCES.some((source) => newest(root + source) > statSync(built).mtimeMs);
if (isNeeded) {
  const { build } = await import('vite');
  await build({ configFile: `${root}vite.config.js` });
}
