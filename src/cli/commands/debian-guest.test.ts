import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Hypervisor } from '../../hypervisor/hypervisor.js';
import { debianGuest } from './debian-guest.js';
import type { RunOptions } from './run-options.js';

test('where no operating system runs, debian is refused with the reason before anything is fetched', async () => {
  const options: Partial<RunOptions> = { module: [], net: [], disk: [], share: [], port: [] };
  const hypervisor: Partial<Hypervisor> = {
    name: 'mine',
    longMode: true,
    whyNoSystem: () => Promise.resolve({ reason: 'it emulates kernels', remedy: 'Use --hypervisor v86' }),
  };
  const refused = debianGuest(options as RunOptions, hypervisor as Hypervisor, undefined as never, undefined as never);
  await assert.rejects(refused, {
    code: 'HYPERVISOR_UNAVAILABLE',
    message: /mine cannot run debian: it emulates kernels/,
    remedy: /v86/,
  });
});
