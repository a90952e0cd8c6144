// Assembles the guest programs and compares them byte for byte with the committed binaries. Exit
// status: 0 if they are equal, 1 if not, 2 without nasm. `--write` replaces the committed ones.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const guests = fileURLToPath(new URL('../guests/', import.meta.url));
const write = process.argv.includes('--write');

// nasm's alignb macro names warnings that `all` does not know.
const NASM_OPTIONS = ['-f', 'bin', '-w+all', '-w-unknown-warning', '-w+error'];

const version = spawnSync('nasm', ['-v'], { encoding: 'utf8' });
if (version.error) {
  console.error('nasm is not installed, so the guests cannot be checked.');
  console.error('Get it with `apt-get install nasm`, `dnf install nasm`, `brew install nasm`, or from https://nasm.us');
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'check-guests-'));
let wrong = 0;
try {
  const sources = readdirSync(guests).filter((name) => name.endsWith('.asm'));
  for (const source of sources) wrong += check(source) ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
process.exit(wrong === 0 ? 0 : 1);

/** @param {string} source */
function check(source) {
  const binary = source.replace(/\.asm$/, '.bin');
  const output = join(scratch, binary);
  const nasm = spawnSync('nasm', [...NASM_OPTIONS, '-o', output, source], { cwd: guests, encoding: 'utf8' });
  if (nasm.status !== 0) {
    console.error(`${source}: nasm failed`);
    console.error(nasm.stderr);
    return false;
  }
  const built = readFileSync(output);
  if (write) writeFileSync(join(guests, binary), built);
  const committed = readIfThere(join(guests, binary));
  if (committed === undefined) {
    console.error(`${binary}: missing. Run \`node scripts/check-guests.mjs --write\`.`);
    return false;
  }
  if (built.equals(committed)) {
    console.log(`${binary}: ${built.length} bytes, equal to its source`);
    return true;
  }
  let at = 0;
  while (at < Math.min(built.length, committed.length) && built[at] === committed[at]) at++;
  console.error(
    `${binary}: differs from what ${version.stdout.trim()} makes of ${source}: ${committed.length} bytes, not ` +
      `${built.length}; first at 0x${at.toString(16)}. If the source is right, run \`node scripts/check-guests.mjs --write\`.`,
  );
  return false;
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
