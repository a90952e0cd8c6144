/** A program written for ACRN finds the same by `upcall hsm` on KVM as on the embedded core. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { whyNoKvm } from '../hypervisor/kvm/fixtures/needed-kvm.js';
import { compileClient, missing, upcallHsm } from './fixtures/programs.js';

const MODES = ['requests', 'signals', 'restarts', 'handler', 'threads', 'forks', 'dups', 'events', 'patches'];
const skip = missing() ?? (await whyNoKvm());

test('each mode of the client prints the same on KVM and on v86', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-kvm-programs-'));
  after(() => rmSync(folder, { recursive: true }));
  const client = compileClient(folder);
  const script = MODES.map((mode) => `echo "== ${mode}"; ${client} ${mode}; echo "status $?"`).join('\n');
  const outputs: string[] = [];
  for (const hypervisor of ['v86', 'kvm']) {
    const options = ['--shim', '--hypervisor', hypervisor];
    const { status, output, errors } = await upcallHsm(folder, ...options, '--', 'sh', '-c', script).ended;
    assert.equal(status, 0, errors);
    outputs.push(output);
  }
  const [v86 = '', kvm = ''] = outputs;
  assert.match(v86, /^read 500 2 0$/m);
  assert.equal(v86.match(/^status 0$/gm)?.length, MODES.length);
  assert.equal(kvm, v86);
});
