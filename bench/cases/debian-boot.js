// @ts-check
/**
 * Debian on the embedded core, from the start of the process until user space runs, the same with
 * every access a plain call, and the same kernel and initial RAM disk on a QEMU without KVM.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { product } from '../product.js';
import { runGuest } from '../guest.js';

export const title = 'Debian until user space';

const MEMORY_MIB = 128;
const FILE = 'cases/debian-boot.js';

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'Debian boot, page',
    unit: 'ms',
    process: { file: FILE, args: ['page'] },
    compare: [
      { to: 'Debian boot, direct', max: 1.15 },
      { to: 'Debian boot, QEMU', max: 1.3 },
    ],
    max: 8000,
  },
  { name: 'Debian boot, direct', unit: 'ms', process: { file: FILE, args: ['direct'] } },
  { name: 'Debian boot, QEMU', unit: 'ms', process: { file: FILE, args: ['qemu'] } },
];

/** @param {import('../guest.js').How | 'qemu'} how */
export async function measure(how) {
  const { acpiDsdt } = await product('index.js');
  const { debianCommandLine } = await product('cli/debian/command-line.js');
  const { fetchDebian } = await product('cli/debian/fetch-debian.js');
  const { USER_SPACE_REACHED } = await product('cli/debian/initramfs.js');
  const fetchedFrom = performance.now();
  const guest = await fetchDebian({ progress: () => undefined });
  // Only the first fetch takes long, for the network.
  const fetchMs = performance.now() - fetchedFrom;
  if (how === 'qemu') return bootQemu(guest, debianCommandLine('upcall.run="true"'), USER_SPACE_REACHED);
  const image = {
    image: await readFile(guest.kernel),
    ...(guest.vmlinux === undefined ? {} : { vmlinux: await readFile(guest.vmlinux) }),
    initrd: await readFile(guest.initrd),
    cmdline: debianCommandLine('upcall.run="true"'),
    dsdt: await readFile(acpiDsdt()),
  };
  let reachedMs = 0;
  await runGuest(how, image, MEMORY_MIB, (text) => {
    if (reachedMs === 0 && text.includes(USER_SPACE_REACHED)) reachedMs = performance.now();
  });
  if (reachedMs === 0) throw new Error('user space was not reached');
  return { value: reachedMs - fetchMs };
}

const QEMU = 'qemu-system-i386';

/**
 * @param {{ kernel: string, initrd: string }} guest
 * @param {string} cmdline
 * @param {string} reached the text that user space prints
 */
async function bootQemu({ kernel, initrd }, cmdline, reached) {
  const machine = ['-accel', 'tcg', '-m', String(MEMORY_MIB), '-nographic', '-no-reboot', '-nic', 'none'];
  const startedMs = performance.now();
  const child = spawn(QEMU, [...machine, '-kernel', kernel, '-initrd', initrd, '-append', cmdline], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  let value = 0;
  child.stdout.on('data', (bytes) => {
    text += bytes.toString('latin1');
    if (value === 0 && text.includes(reached)) value = performance.now() - startedMs;
  });
  try {
    await once(child, 'exit');
  } catch {
    return { unavailable: `${QEMU} is not installed` };
  }
  if (value === 0) throw new Error('user space was not reached on QEMU');
  return { value };
}
