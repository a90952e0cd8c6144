// @ts-check
/**
 * Compiles a reference in C and caches the program in .cache/bench/. Its name has the hash of the
 * sources, the compiler and the options. The variable CC selects the compiler.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const CACHE = fileURLToPath(new URL('../.cache/bench/', import.meta.url));
const HEADERS = ['reference.h', 'cpu.h'].map((name) => new URL(`reference/${name}`, import.meta.url));
const OPTIONS = ['-D_GNU_SOURCE', '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread'];
const run = promisify(execFile);

/** @type {Promise<{ name: string, version: string } | undefined> | undefined} */
let found;

/** The first compiler that prints its version. */
async function findCompiler() {
  const chosen = process.env['CC'];
  for (const name of chosen === undefined ? ['cc', 'gcc', 'clang'] : [chosen]) {
    try {
      const { stdout } = await run(name, ['--version']);
      return { name, version: stdout };
    } catch {
      // Try the next one.
    }
  }
  return undefined;
}

/**
 * @param {string} file from bench/
 * @returns {Promise<{ program: string } | { unavailable: string }>}
 */
export async function compile(file) {
  const compiler = await (found ??= findCompiler());
  if (compiler === undefined) return { unavailable: 'no C compiler' };
  const source = new URL(file, import.meta.url);
  const hash = createHash('sha256').update(compiler.version).update(OPTIONS.join(' '));
  for (const part of [...HEADERS, source]) hash.update(await readFile(part));
  const program = `${CACHE}${basename(file, '.c')}-${hash.digest('hex').slice(0, 16)}`;
  if (existsSync(program)) return { program };
  await mkdir(CACHE, { recursive: true });
  const fresh = `${program}.${process.pid}`;
  try {
    await run(compiler.name, [...OPTIONS, '-o', fresh, fileURLToPath(source)]);
  } catch (error) {
    const [first = ''] = String(/** @type {{ stderr?: string }} */ (error).stderr ?? error).split('\n');
    return { unavailable: `${compiler.name} cannot compile it: ${first.trim()}` };
  }
  await rename(fresh, program);
  return { program };
}
