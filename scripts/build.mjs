// Builds dist/: compiles the TypeScript, removes outputs whose source is gone, bundles the command
// and the live page. `--verbose` says what it does, for `npm ci` and other places where 20 s of
// silence look like a hang.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { buildPage } from './build-page.mjs';
import { bundle } from './bundle.mjs';
import { pruneOutputs } from './prune-outputs.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const isVerbose = process.argv.includes('--verbose');
const beganMs = Date.now();

/** @param {string} line */
function report(line) {
  // With a line break before it: npm draws its spinner at the start of the current line.
  if (isVerbose) console.error(`\nupcall: ${line}`);
}

report('compiling the TypeScript (about 15 s) ...');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [tsc, '-p', `${root}tsconfig.json`], {
  cwd: root,
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
for (const file of pruneOutputs(`${root}src`, `${root}dist`)) report(`removed dist/${file}: its source is gone`);
report('bundling the command ...');
await bundle();
report('bundling the live page (about 5 s) ...');
await buildPage({ isForced: false });
report(`built in ${Math.round((Date.now() - beganMs) / 1000)} s`);
