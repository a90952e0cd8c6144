/** The build's own steps (scripts/), on folders of their own. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../scripts/prune-outputs.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'upcall-build-'));
after(() => rmSync(folder, { recursive: true }));

function place(...paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), '');
  }
}

test('an output without a source is removed, and every other file is kept', () => {
  const kept = [
    'dist/vm/kept.js',
    'dist/vm/kept.js.map',
    'dist/vm/kept.d.ts',
    'dist/tsconfig.tsbuildinfo',
    'dist/dashboard/page/assets/bundle.js',
  ];
  const stale = [
    'dist/vm/moved.test.js',
    'dist/vm/moved.test.js.map',
    'dist/vm/moved.test.d.ts',
    'dist/old/room/gone.js',
  ];
  place('src/vm/kept.ts', ...kept, ...stale);

  const output = execFileSync(process.execPath, [script, join(folder, 'src'), join(folder, 'dist')], {
    encoding: 'utf8',
  });

  assert.equal(output.trim().split('\n').length, stale.length);
  for (const path of kept) assert.ok(existsSync(join(folder, path)), path);
  for (const path of stale) assert.equal(existsSync(join(folder, path)), false, path);
  assert.equal(existsSync(join(folder, 'dist/old')), false, 'an empty folder stays behind');
});
