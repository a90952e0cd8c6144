/** A short run of the campaign of kicks, with another seed each time, or UPCALL_SEED. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SLOWNESS, whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
const SCRIPT = fileURLToPath(new URL('../../../scripts/kvm-kicks.mjs', import.meta.url));
const DIST = fileURLToPath(new URL('../../', import.meta.url));
const SEED = Number(process.env['UPCALL_SEED'] ?? Date.now() % 2 ** 31);

for (const [rounds, kinds] of [
  [60, ['pause', 'reset']],
  [20, ['destroy']],
  [6, ['exit', 'throw', 'terminate', 'interrupt']],
] as const)
  test(
    `${rounds} kicks of each kind end in time: ${kinds.join(', ')}`,
    { skip, timeout: 240_000 * SLOWNESS },
    async () => {
      const args = [
        '--quiet',
        '--rounds',
        String(rounds),
        '--seed',
        String(SEED),
        ...kinds.flatMap((kind) => ['--kind', kind]),
      ];
      const child = spawn(process.execPath, [SCRIPT, ...args], {
        env: { ...process.env, UPCALL_DIST: DIST },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let text = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()));
      const [status] = (await once(child, 'close')) as [number | null];
      assert.equal(status, 0, text);
    },
  );
