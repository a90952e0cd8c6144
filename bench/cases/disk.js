// @ts-check
/**
 * A virtio disk under Debian: sequential reads and writes in large pieces, and reads of 4 KiB eight
 * at a time, on upcall and on a QEMU without KVM with the same kernel and initial RAM disk. The
 * guest's page cache is left out (O_DIRECT). Also counted: I/O requests through the page for each
 * 4 KiB.
 */

import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BEGIN, debianImage, END, Marks, onQemu, onUpcall } from '../debian-guest.js';
import { product } from '../product.js';

export const title = 'disk of Debian';

const FILE = 'cases/disk.js';
const DISK_BYTES = 256 * 2 ** 20;
const SMALL = 4096;
/** Programs that read 4 KiB pieces at the same time, and how many each. */
const DEPTH = 8;
const EACH = 512;
const PIECES = 256;
const PIECE = 256 * 1024;

/** @typedef {'read' | 'write' | 'small'} Work */

/** @type {Record<Work, { commands: string, bytes: number }>} */
const WORKS = {
  read: { commands: `dd if=/dev/vda of=/dev/null bs=${PIECE} count=${PIECES} iflag=direct`, bytes: PIECES * PIECE },
  write: {
    commands: `dd if=/dev/zero of=/dev/vda bs=${PIECE} count=${PIECES} oflag=direct; sync`,
    bytes: PIECES * PIECE,
  },
  small: {
    commands:
      `for i in $(seq 0 ${DEPTH - 1}); do ` +
      `dd if=/dev/vda of=/dev/null bs=${SMALL} skip=$((i * 8192)) count=${EACH} iflag=direct & done; wait`,
    bytes: DEPTH * EACH * SMALL,
  },
};

/** @type {import('../rows.js').Row[]} */
export const rows = [
  .../** @type {const} */ (['read', 'write']).flatMap((work) => [
    {
      name: `disk ${work} MB/s`,
      unit: ' MB/s',
      process: { file: FILE, args: ['upcall', work] },
      compare: [{ to: `disk ${work} MB/s, QEMU` }],
    },
    { name: `disk ${work} MB/s, QEMU`, unit: ' MB/s', process: { file: FILE, args: ['qemu', work] } },
  ]),
  {
    name: 'disk reads of 4 KiB/s',
    unit: '/s',
    process: { file: FILE, args: ['upcall', 'small'] },
    value: 'operations',
    compare: [{ to: 'disk reads of 4 KiB/s, QEMU' }],
  },
  {
    name: 'requests per 4 KiB, disk reads',
    unit: '',
    process: { file: FILE, args: ['upcall', 'small'] },
    value: 'requests',
  },
  {
    name: 'disk reads of 4 KiB/s, QEMU',
    unit: '/s',
    process: { file: FILE, args: ['qemu', 'small'] },
    value: 'operations',
  },
];

/**
 * @param {'upcall' | 'qemu'} machine
 * @param {Work} work
 */
export async function measure(machine, work) {
  const { commands, bytes } = WORKS[work];
  const folder = await mkdtemp(join(tmpdir(), 'upcall-bench-disk-'));
  const file = join(folder, 'disk.img');
  try {
    await writeFile(file, '');
    await truncate(file, DISK_BYTES);
    const image = await debianImage(`exec 2>/dev/null; echo ${BEGIN}; ${commands}; echo ${END}`, ['block']);
    const marks = new Marks();
    if (machine === 'qemu') {
      const drive = ['-drive', `file=${file},format=raw,if=virtio`];
      const devices = ['-nic', 'none', '-serial', 'stdio', ...drive];
      const problem = await onQemu(image, devices, (text) => marks.see(text, () => 0));
      if (problem !== undefined) return { unavailable: problem };
    } else {
      await onUpcall(
        image,
        (text, requests) => marks.see(text, requests),
        (vm) => attachDisk(vm, file),
      );
    }
    const seconds = marks.milliseconds / 1000;
    return {
      value: bytes / 1e6 / seconds,
      operations: bytes / SMALL / seconds,
      requests: marks.requests / (bytes / SMALL),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * @param {import('../debian-guest.js').UserVm} vm
 * @param {string} file
 */
async function attachDisk(vm, file) {
  const { openDisk, VirtioBlock, virtioPciCard } = await product('index.js');
  const { image } = await openDisk({ file });
  vm.attachCard(virtioPciCard(new VirtioBlock({ image })));
}
