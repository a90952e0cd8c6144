import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./explore-main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'upcall-explore-'));
after(() => rmSync(folder, { recursive: true }));

function run(...options: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [main, ...options], { encoding: 'utf8' });
}

test('a configuration is searched, and its counts are printed', () => {
  const { status, stdout } = run('--config', 'polling', '--slice');
  assert.equal(status, 0);
  assert.match(stdout, /^polling +[\d,]+ .* complete$/m);
});

test('several configurations end with a table and the total time', () => {
  const { status, stdout } = run('--config', 'polling', 'requests', '--slice');
  assert.equal(status, 0);
  assert.match(stdout, /│ requests +│ [\d,]+ .*\n(?:.*\n){3}2 configurations in \d+ s\n$/);
});

test('a defect is found, saved and replayed', () => {
  const file = join(folder, 'schedule.json');
  const found = run('--defects', '--config', 'no-ring', '--save', file);
  assert.equal(found.status, 0);
  assert.match(found.stdout, /no-ring: No vCPU is woken when its request is completed\./);
  const replayed = run('--replay', file);
  assert.equal(replayed.status, 0);
  assert.match(replayed.stdout, /Replayed: vCPU 0 sleeps while its answer is there: a lost wake-up/);
});

test('an unknown name is refused, with the known ones', () => {
  const { status, stdout, stderr } = run('--config', 'nonsense');
  assert.equal(status, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /unknown name: nonsense\. Choose from: requests, /);
});
