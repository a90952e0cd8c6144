import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileClient, missing, Running } from './fixtures/programs.js';
import type { FrontEnd } from './fixtures/test-server.js';
import { programSupport } from './support.js';

/** Random programs of each variant, which has a seed of its own. */
const PROGRAMS = 30;
const ORDINARY_USER = 65_534;
const MAIN = fileURLToPath(new URL('./fixtures/play-scripts.js', import.meta.url));

const skip = missing();
const filter = programSupport();
const withoutFilter = skip ?? (filter.available ? undefined : filter.reason);
const isRoot = process.getuid?.() === 0;
const user = isRoot ? 'an ordinary user' : 'this user';

const VARIANTS: readonly (readonly [front: FrontEnd, link: 'dynamic' | 'static', asRoot: boolean])[] = [
  ['filter', 'dynamic', false],
  ['filter', 'static', false],
  ['shim', 'dynamic', false],
  ['filter', 'dynamic', true],
  ['filter', 'static', true],
  ['shim', 'dynamic', true],
];

describe('a program in C gets the results that a process inside gets', { skip: skip ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-c-client-'));
  const cache = join(folder, 'cache');
  chmodSync(folder, 0o755);
  mkdirSync(cache);
  chmodSync(cache, 0o777);
  after(() => rmSync(folder, { recursive: true }));

  const compiled = new Map<string, string>();
  /** Undefined after a skip. */
  function compile(link: 'dynamic' | 'static', context: TestContext): string | undefined {
    const known = compiled.get(link);
    if (known !== undefined) return known;
    try {
      const client = compileClient(folder, 'script-client', ...(link === 'static' ? ['-static'] : []));
      compiled.set(link, client);
      return client;
    } catch (error) {
      if (link === 'dynamic') throw error;
      context.skip('there is no static C library');
      return undefined;
    }
  }

  for (const [i, [front, link, asRoot]] of VARIANTS.entries()) {
    const reason =
      (front === 'filter' ? withoutFilter : undefined) ?? (asRoot && !isRoot ? 'this is not root' : undefined);
    test(`${front}, ${link}, as ${asRoot ? 'root' : user}`, { skip: reason ?? false }, async (context) => {
      const client = compile(link, context);
      if (client === undefined) return;
      const args = [MAIN, front, client, `${process.env['UPCALL_SEED'] ?? i + 1}`, `${PROGRAMS}`];
      const env = { ...process.env, XDG_CACHE_HOME: asRoot ? folder : cache };
      const ids = isRoot && !asRoot ? { uid: ORDINARY_USER, gid: ORDINARY_USER } : {};
      const { status, output, errors } = await new Running(process.execPath, args, env, ids).ended;
      assert.equal(status, 0, output + errors);
      context.diagnostic(output.trim());
      assert.match(output, /^seed \S+: \d{3,} commands are equal\n$/);
    });
  }
});
