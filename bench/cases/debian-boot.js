// @ts-check
/**
 * Debian on the embedded core, from the start of the process until user space runs, and the same
 * with every access a plain call.
 */

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
    compare: [{ to: 'Debian boot, direct', max: 1.15 }],
    max: 8000,
  },
  { name: 'Debian boot, direct', unit: 'ms', process: { file: FILE, args: ['direct'] } },
];

/** @param {import('../guest.js').How} how */
export async function measure(how) {
  const { acpiDsdt } = await product('index.js');
  const { debianCommandLine } = await product('cli/debian/command-line.js');
  const { fetchDebian } = await product('cli/debian/fetch-debian.js');
  const { USER_SPACE_REACHED } = await product('cli/debian/initramfs.js');
  const fetchedFrom = performance.now();
  const guest = await fetchDebian({ progress: () => undefined });
  // Only the first fetch takes long, for the network.
  const fetchMs = performance.now() - fetchedFrom;
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
