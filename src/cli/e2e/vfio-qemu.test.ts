/** `npm run vfio:qemu`: Debian in QEMU with cards of `upcall serve`, as in docs/real-vmms.md. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { qemuMissing } from '../../vfio-user/fixtures/qemu.js';
import { MAIN, start } from './upcall-process.js';

const SCRIPT = fileURLToPath(new URL('../../../scripts/vfio-qemu.mjs', import.meta.url));
const CARD = fileURLToPath(new URL('../../../examples/devices/copier.js', import.meta.url));

test('vfio:qemu --help names its options', async () => {
  const { status, stdout } = await start(process.execPath, [SCRIPT, '--help']).ended;
  assert.equal(status, 0);
  for (const option of ['--card SOCKET', '--debian', '--run COMMANDS']) assert.ok(stdout.includes(option), option);
});

test('vfio:qemu refuses --run without --debian', async () => {
  const { status, stderr } = await start(process.execPath, [SCRIPT, '--run', 'true']).ended;
  assert.equal(status, 2);
  assert.match(stderr, /--run needs --debian/);
});

test(
  'vfio:qemu --debian has the cards at 00:05.0 and 00:06.0, and the status of --run',
  { skip: qemuMissing, timeout: 200_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'upcall-vfio-qemu-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const sockets = ['a.sock', 'b.sock'].map((name) => join(folder, name));
    const serving = start(process.execPath, [
      ...[MAIN, 'serve', ...sockets.flatMap((socket) => ['--vfio-user', socket])],
      ...['--device', `${CARD}@pci`, '--device', `${CARD}@pci`],
    ]);
    t.after(() => serving.child.kill());
    await new Promise<void>((resolve, reject) => {
      let text = '';
      serving.child.stderr.on('data', (bytes: Buffer) => {
        text += String(bytes);
        if (text.split('is served').length > sockets.length) resolve();
      });
      serving.child.once('close', () => reject(new Error(text)));
    });
    const run =
      'cd /sys/bus/pci/devices; for one in 5 6; do echo card $one $(cat 0000:00:0$one.0/vendor); done; exit 7';
    const words = [SCRIPT, '--debian', ...sockets.flatMap((socket) => ['--card', socket]), '--run', run, '-smp', '1'];
    const { status, stdout, stderr } = await start(process.execPath, words).ended;
    assert.match(stdout, /^card 5 0x1234\r?$/m, stderr);
    assert.match(stdout, /^card 6 0x1234\r?$/m);
    assert.equal(status, 7);
  },
);
