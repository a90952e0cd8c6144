// Bundles the live page if one of its sources is newer than the bundle: bundling takes seconds, and
// most builds do not change the page. `node scripts/build-page.mjs --force` bundles it anyway.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const BUNDLE = `${root}dist/dashboard/page/index.html`;
/** Files and folders that the page is built from. */
const SOURCES = ['src/dashboard', 'src/io-request', 'vite.config.js', 'tsconfig.json', 'package-lock.json'];

/**
 * @param {string} path
 * @returns {number} latest modification time of the file, or of anything in the folder
 */
function newest(path) {
  const status = statSync(path);
  if (!status.isDirectory()) return status.mtimeMs;
  return Math.max(status.mtimeMs, ...readdirSync(path).map((name) => newest(`${path}/${name}`)));
}

/** Called by build.mjs, and below. @param {{ isForced: boolean }} options */
export async function buildPage({ isForced }) {
  const isCurrent = existsSync(BUNDLE) && SOURCES.every((source) => newest(root + source) <= statSync(BUNDLE).mtimeMs);
  if (isCurrent && !isForced) return;
  const { build } = await import('vite');
  await build({ configFile: `${root}vite.config.js` });
}

if (argv[1] === fileURLToPath(import.meta.url)) await buildPage({ isForced: argv.includes('--force') });
