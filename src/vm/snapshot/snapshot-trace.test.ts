/**
 * A hundred restores of one file run the same trace: every request of the guest, with its value, in
 * its order. The guest's requests depend on its state only (docs/snapshots.md, "Same trace").
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { restoreCounting, startCounting } from './fixtures/counting-guest.js';

const RESTORES = 100;
const REQUESTS = 300;

test('a hundred restores of one file make the same requests', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-trace-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'vm.snap');
  const original = await startCounting();
  await original.recorder.until(5000);
  await original.vm.save(file);
  await original.serviceVm.close();
  const traces = new Set<string>();
  for (let restore = 0; restore < RESTORES; restore++) {
    const { serviceVm, recorder } = await restoreCounting(file);
    await recorder.until(recorder.count + REQUESTS);
    traces.add(createHash('sha256').update(recorder.written.slice(0, REQUESTS).join('\n')).digest('hex'));
    await serviceVm.close();
  }
  assert.equal(traces.size, 1);
});
