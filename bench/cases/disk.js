// @ts-check
/**
 * A virtio disk under Debian: sequential reads and writes in large pieces, and reads of 4 KiB eight
 * at a time, on upcall and on a QEMU without KVM with the same kernel and initial RAM disk. The
 * guest's page cache is left out (O_DIRECT). Each is repeated: the first time the guest's code is
 * translated, the median of the others is the throughput. With more repetitions, as in
 * `node bench/case.js cases/disk.js upcall read 32`, the result's `sustained` is the median of
 * their last third. Also counted: I/O requests through the page for each 4 KiB.
 */

import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BEGIN, debianImage, END, Marks, onQemu, onUpcall } from '../debian-guest.js';
import { product } from '../product.js';
import { median } from '../summary.js';

export const title = 'disk of Debian';

const FILE = 'cases/disk.js';
const DISK_BYTES = 256 * 2 ** 20;
const SMALL = 4096;
/** Programs that read 4 KiB pieces at the same time, and how many each. */
const DEPTH = 8;
const EACH = 512;
const PIECES = 256;
const PIECE = 256 * 1024;
const REPETITIONS = 6;

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

/** @type {Record<Work, string>} */
const NAMES = { read: 'disk read MB/s', write: 'disk write MB/s', small: 'disk reads of 4 KiB/s' };

/** @type {import('../rows.js').Row[]} */
export const rows = [
  .../** @type {const} */ (['read', 'write', 'small']).flatMap((work) => {
    const name = NAMES[work];
    const unit = work === 'small' ? '/s' : ' MB/s';
    const upcall = { unit, process: { file: FILE, args: ['upcall', work] } };
    const qemu = { unit, process: { file: FILE, args: ['qemu', work] } };
    return [
      { name, ...upcall, compare: [{ to: `${name}, QEMU`, min: 0.5 }] },
      { name: `${name}, QEMU`, ...qemu },
      { name: `${name}, the first`, ...upcall, value: 'first', compare: [{ to: `${name}, the first, QEMU` }] },
      { name: `${name}, the first, QEMU`, ...qemu, value: 'first' },
    ];
  }),
  {
    name: 'requests per 4 KiB, disk reads',
    unit: '',
    process: { file: FILE, args: ['upcall', 'small'] },
    value: 'requests',
    max: 0.1,
  },
];

/**
 * @param {'upcall' | 'qemu'} machine
 * @param {Work} work
 * @param {string} [repetitions]
 */
export async function measure(machine, work, repetitions = String(REPETITIONS)) {
  const { commands, bytes } = WORKS[work];
  const folder = await mkdtemp(join(tmpdir(), 'upcall-bench-disk-'));
  const file = join(folder, 'disk.img');
  try {
    await writeFile(file, '');
    await truncate(file, DISK_BYTES);
    const repeated = `for r in $(seq ${Number(repetitions)}); do echo ${BEGIN}; ${commands}; echo ${END}; done`;
    const image = await debianImage(`exec 2>/dev/null; ${repeated}`, ['block']);
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
    const unit = work === 'small' ? SMALL : 1e6;
    const rates = marks.rounds.map(({ milliseconds }) => bytes / unit / (milliseconds / 1000));
    const [first, ...others] = rates;
    const requests = marks.rounds.reduce((sum, round) => sum + round.requests, 0);
    return {
      value: median(others),
      first,
      sustained: median(rates.slice(-Math.ceil(rates.length / 3))),
      requests: requests / marks.rounds.length / (bytes / SMALL),
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
