import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { compileClient, missing } from './fixtures/programs.js';
import { TestServer } from './fixtures/test-server.js';

test('a program’s answer wakes the vCPU on the Service VM’s CPU', { skip: missing() ?? false }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-answers-'));
  const server = await TestServer.create(folder);
  t.after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  const { waker } = server.serviceVm.pinning;
  if (waker === undefined) {
    t.skip('threads are not woken on chosen CPUs here');
    return;
  }
  const here = new Set<number>();
  server.onCall = (code) => {
    if (waker.parksNext) here.add(code);
  };
  const program = await server.start('shim', compileClient(folder), 'requests');
  await program.ended;
  assert.deepEqual([...here], [Ioctl.NOTIFY_REQUEST_FINISH]);
  assert.ok(server.calls.size > 1);
});
