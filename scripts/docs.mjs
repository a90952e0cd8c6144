// @ts-check
/**
 * npm run docs: builds the site with the documents in both languages and the API reference.
 *
 * The documents and the API pages (TypeDoc, from the docstrings) are staged in .cache/docs-site,
 * where VitePress builds dist-docs/. A fault that scripts/docs/check.mjs finds, or a dead link
 * between pages, fails the build.
 */

import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkDocuments } from './docs/check.mjs';
import { documents, rewriteLinks, sourcePage } from './docs/site-map.mjs';

const HELP = `Usage: npm run docs -- [options]

Builds the documentation into dist-docs/, a static site: open dist-docs/index.html through any web server.

  --serve        serves it afterwards (http://localhost:4173)
  --check        only checks links, quoted code, commands and translations, and builds nothing
  --help         this text

Examples:
  npm run docs
  npm run docs -- --serve
  npm run docs -- --check
`;

const root = fileURLToPath(new URL('..', import.meta.url));
const stage = join(root, '.cache/docs-site');
const out = join(root, 'dist-docs');
/** @type {{ values: { serve?: boolean, check?: boolean, help?: boolean } }} */
let parsed;
try {
  parsed = parseArgs({
    options: { serve: { type: 'boolean' }, check: { type: 'boolean' }, help: { type: 'boolean' } },
  });
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  process.exit(2);
}
const { serve, check, help } = parsed.values;
if (help) {
  console.log(HELP);
  process.exit(0);
}

const places = documents(root);
const faults = checkDocuments(root, places.keys());
if (faults.length > 0) {
  console.error(`${faults.join('\n')}\n\n${faults.length} faults in the documents`);
  process.exit(1);
}
if (check) {
  console.log(`${places.size} documents: links, quoted code, commands and translations hold`);
  process.exit(0);
}

rmSync(stage, { recursive: true, force: true });
rmSync(out, { recursive: true, force: true });
mkdirSync(join(stage, '.vitepress'), { recursive: true });

console.log('API reference');
run('typedoc', ['--options', join(root, 'scripts/docs/typedoc.json'), '--out', join(stage, 'api')]);

console.log('documents');
// Without the first line of a translation, which is only for the check.
const texts = new Map(
  [...places].map(([path]) => [path, readFileSync(join(root, path), 'utf8').replace(/^<!--.*-->\n/, '')]),
);
for (const [path, text] of texts) write(String(places.get(path)), rewriteLinks(text, path, places, root));
// The others are files that documents link to: rewriteLinks has added them.
for (const [path, place] of places) {
  if (texts.has(path)) continue;
  if (place.endsWith('.md')) write(place, sourcePage(path, root));
  else copy(path, place);
}
for (const name of ['sidebar.mjs', 'vitepress-config.mjs'])
  copyFileSync(join(root, 'scripts/docs', name), join(stage, '.vitepress', name.replace('vitepress-config', 'config')));

console.log('site');
run('vitepress', ['build', stage, '--outDir', out]);
if (serve) run('vitepress', ['preview', stage, '--outDir', out]);

function write(/** @type {string} */ place, /** @type {string} */ text) {
  const file = join(stage, place);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function copy(/** @type {string} */ path, /** @type {string} */ place) {
  const file = join(stage, place);
  mkdirSync(dirname(file), { recursive: true });
  cpSync(join(root, path), file);
}

/** Runs a tool of node_modules; its failure ends this program with its status. */
function run(/** @type {string} */ tool, /** @type {string[]} */ args) {
  const { status } = spawnSync(join(root, 'node_modules/.bin', tool), args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
