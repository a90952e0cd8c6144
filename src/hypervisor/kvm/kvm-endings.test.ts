/**
 * Every way to end: with vCPUs in the guest that make no exits, each takes less than a second, or
 * as much more as the machine is slow. The campaign is scripts/kvm-kicks.mjs.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MAIN, start } from '../../cli/e2e/upcall-process.js';
import { createEndlessVm, ENDLESS, type EndlessKind } from './fixtures/endless-vm.js';
import { SLOWNESS, whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
const PROGRAM = fileURLToPath(new URL('./fixtures/ending-process.js', import.meta.url));
const LIMIT_MS = 1000 * SLOWNESS;
const KINDS: readonly EndlessKind[] = ['looping', 'sleeping'];
const folder = mkdtempSync(join(tmpdir(), 'upcall-kvm-'));
after(() => rmSync(folder, { recursive: true }));

/** Checks that `work` takes at most LIMIT_MS. */
async function soon(what: string, work: Promise<unknown>): Promise<void> {
  const startMs = performance.now();
  await work;
  const ms = performance.now() - startMs;
  assert.ok(ms < LIMIT_MS, `${what} took ${ms.toFixed(0)} ms`);
}

// Without ticks, so that only a kick can make the vCPU leave the guest.
for (const kind of KINDS)
  describe(`a ${kind} guest, without ticks`, { skip }, () => {
    test('is paused and started again, and destroyed', async () => {
      const { serviceVm, vm, entered } = await createEndlessVm(kind, { tickMs: 0 });
      for (let round = 0; round < 3; round++) {
        const isEntered = entered();
        if (round === 0) await vm.start();
        else await soon('reset', vm.reset());
        await isEntered;
        await soon('pause', vm.pause());
      }
      await soon('destroy', vm.destroy());
      await serviceVm.close();
    });

    test('is destroyed while it runs', async () => {
      const { serviceVm, vm, entered } = await createEndlessVm(kind, { tickMs: 0 });
      const isEntered = entered();
      await vm.start();
      await isEntered;
      await soon('destroy', vm.destroy());
      await serviceVm.close();
    });
  });

for (const kind of KINDS)
  describe(`a process with a ${kind} guest ends`, { skip }, () => {
    for (const [ending, status] of [
      ['exit', 7],
      ['throw', 1],
      ['terminate', 0],
    ] as const)
      test(`by ${ending}`, async () => {
        const { until, ended } = start(process.execPath, [PROGRAM, ending, kind]);
        await until('entered');
        await soon(ending, ended);
        const end = await ended;
        assert.deepEqual([end.status, end.signal], [status, null], end.stderr);
        if (ending === 'terminate') assert.match(end.stdout, /^terminated$/m);
      });

    test('by Ctrl-C of upcall run', async () => {
      const image = join(folder, `${kind}.bin`);
      writeFileSync(image, Uint8Array.from([...PRINT_DOT, ...ENDLESS[kind]]));
      const { child, until, ended } = start(process.execPath, [MAIN, 'run', '--hypervisor', 'kvm', image]);
      await until('.');
      child.kill('SIGINT');
      await soon('SIGINT', ended);
      assert.equal((await ended).signal, null);
    });
  });

/** mov al, '.'; mov dx, 0x3f8; out dx, al */
const PRINT_DOT = [0xb0, 0x2e, 0xba, 0xf8, 0x03, 0xee];
