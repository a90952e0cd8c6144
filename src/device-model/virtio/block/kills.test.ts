import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { killRounds } from './fixtures/kill-campaign.js';

// npm run disks -- kills 10000 plays more of them.
const ROUNDS = 10;

test('a process that is killed loses nothing that a flush has covered', { timeout: 120_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-kills-'));
  t.after(() => rm(folder, { recursive: true }));
  const seed = Number(process.env['UPCALL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed} (UPCALL_SEED)`);
  const { requests } = await killRounds({ rounds: ROUNDS, seed, folder });
  assert.ok(requests > ROUNDS * 5, `${requests} requests`);
});
