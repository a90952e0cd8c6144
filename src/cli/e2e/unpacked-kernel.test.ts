/**
 * Debian's kernel as the cache has it for acrn-dm, on upcall's own loader and on QEMU's firmware.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fetchDebian } from '../debian/fetch-debian.js';
import { whyNoDebian } from './needed-guest.js';
import { start, upcall } from './upcall-process.js';

const QEMU = 'qemu-system-i386';
const whyNot = await whyNoDebian();
const isQemuThere = spawnSync(QEMU, ['--version']).error === undefined;
const CMDLINE = 'console=ttyS0 quiet upcall.run="uname -m"';
const EXPECTED = /^i686\r?\nupcall: commands ended with status 0\r?$/m;

/** It is not in `DebianGuest` if it could not be written. */
async function guest() {
  const { unpackedKernel, initrd } = await fetchDebian();
  assert.ok(unpackedKernel !== undefined);
  return { kernel: unpackedKernel, initrd };
}

test('upcall run boots the kernel that is not compressed', { skip: whyNot }, async () => {
  const { kernel, initrd } = await guest();
  const args = ['run', '--kernel', kernel, '--initrd', initrd, '--memory', '128', '-c', CMDLINE];
  const { stdout, stderr, status } = await upcall(args);
  assert.match(stdout, EXPECTED, stderr);
  assert.equal(status, 0);
});

test(
  'QEMU boots it by its real-mode part',
  { skip: whyNot || (!isQemuThere && `${QEMU} is not installed`) },
  async () => {
    const { kernel, initrd } = await guest();
    const machine = ['-nodefaults', '-display', 'none', '-no-reboot', '-m', '128', '-serial', 'stdio'];
    const { child, ended } = start(QEMU, [...machine, '-kernel', kernel, '-initrd', initrd, '-append', CMDLINE]);
    child.stdin.end();
    const { stdout, stderr, status } = await ended;
    assert.match(stdout, EXPECTED, stderr);
    assert.equal(status, 0);
  },
);
