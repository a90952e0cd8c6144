import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('every explained survivor of scripts/mutation-run.mjs exists and has a reason', () => {
  const script = fileURLToPath(new URL('../../scripts/mutation-run.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^\d{4} mutants, \d+ explained survivors, \d+ modules complete\n$/);
});

test('every mutant of scripts/mutants.mjs has its place in the sources', () => {
  const script = fileURLToPath(new URL('../../scripts/mutants.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^\d{2,3} mutants, each has its place\n$/);
});
