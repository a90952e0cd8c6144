/** The options of the scripts that package.json and the documents name. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../scripts', import.meta.url));
const scripts = !existsSync(folder)
  ? []
  : readdirSync(folder).filter(
      (file) => file.endsWith('.mjs') && /readOptions\(HELP/.test(readFileSync(join(folder, file), 'utf8')),
    );

describe('a script', { skip: scripts.length === 0 && 'the scripts are not here' }, () => {
  for (const script of scripts)
    test(`${script} prints its options, and refuses another one with 2`, () => {
      const run = (...words: string[]) =>
        spawnSync(process.execPath, [join(folder, script), ...words], { encoding: 'utf8', timeout: 60_000 });
      const help = run('--help');
      assert.deepEqual([help.status, help.stderr], [0, '']);
      assert.match(help.stdout, /^\S.*\n {2}\S/);
      const wrong = run('--no-such-option');
      assert.equal(wrong.status, 2);
      assert.ok(/^Unknown option '--no-such-option'/.test(wrong.stderr) && wrong.stderr.endsWith(help.stdout));
      assert.ok(!wrong.stderr.includes('    at '), 'a stack');
    });
});
