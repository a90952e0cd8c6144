// Packs the package as `npm publish` would and checks the tarball with publint and "Are the types
// wrong?", offline. Prints each problem and exits with 1 if there is one. Build first; the test
// src/cli/e2e/pack.test.ts runs what the tarball holds.

import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const root = fileURLToPath(new URL('../', import.meta.url));
/**
 * The package is ESM only. `require` of it resolves to a module, as Node allows from 20.19 on, and
 * the resolution before `exports` existed finds no subpaths.
 */
const CHECKED_RESOLUTIONS = new Set(['node16-esm', 'bundler']);

const folder = mkdtempSync(join(tmpdir(), 'upcall-package-'));
try {
  const tarball = pack();
  const problems = [...(await publintProblems(tarball)), ...(await typeProblems(tarball))];
  for (const problem of problems) console.error(problem);
  console.log(`the packed package has ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}

function pack() {
  // With a shell: on Windows npm is a batch file.
  const options = ['pack', '--silent', '--ignore-scripts', '--pack-destination', JSON.stringify(folder)];
  const { status } = spawnSync('npm', options, { cwd: root, shell: true, stdio: ['ignore', 'ignore', 'inherit'] });
  const file = readdirSync(folder)[0];
  if (status !== 0 || file === undefined) throw new Error(`npm pack failed with status ${status}`);
  return new Uint8Array(readFileSync(join(folder, file)));
}

/** @param {Uint8Array<ArrayBuffer>} tarball */
async function publintProblems(tarball) {
  const { messages, pkg } = await publint({ pack: { tarball: tarball.buffer }, strict: true });
  return messages
    .filter(({ type }) => type !== 'suggestion')
    .map((message) => `publint: ${formatMessage(message, pkg)}`);
}

/** @param {Uint8Array} tarball */
async function typeProblems(tarball) {
  const result = await checkPackage(createPackageFromTarballData(tarball));
  if (!result.types) return ['the tarball has no types'];
  return result.problems
    .filter((problem) => !('resolutionKind' in problem) || CHECKED_RESOLUTIONS.has(problem.resolutionKind))
    .map((problem) => `types: ${JSON.stringify(problem)}`);
}
