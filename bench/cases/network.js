// @ts-check
/**
 * TCP from one Debian to another one over virtio network cards: two VMs of one process on a hub,
 * and two QEMUs without KVM that a socket connects, with the same kernel and initial RAM disk.
 * Also counted: I/O requests through both pages for each 4 KiB.
 */

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { BEGIN, debianImage, END, Marks, onQemu, onUpcall } from '../debian-guest.js';
import { product } from '../product.js';

export const title = 'network of Debian';

const FILE = 'cases/network.js';
const BYTES = 64 * 2 ** 20;
const PIECE = 64 * 1024;
const MACS = ['52:54:00:00:00:01', '52:54:00:00:00:02'];
const PORT = 5000;

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'network MB/s between two VMs',
    unit: ' MB/s',
    process: { file: FILE, args: ['upcall'] },
    compare: [{ to: 'network MB/s between two VMs, QEMU' }],
  },
  {
    name: 'requests per 4 KiB, network',
    unit: '',
    process: { file: FILE, args: ['upcall'] },
    value: 'requests',
  },
  { name: 'network MB/s between two VMs, QEMU', unit: ' MB/s', process: { file: FILE, args: ['qemu'] } },
];

/** The time begins with the first byte at the receiver, and ends with the last one. */
const RECEIVER = [
  'ip addr add 10.1.2.1/24 dev eth0',
  'ip link set eth0 up',
  `nc -l -p ${PORT} | ( head -c 1 >/dev/null; echo ${BEGIN}; cat >/dev/null; echo ${END} )`,
].join('; ');
/** The receiver may boot later. */
const SENDER = [
  'ip addr add 10.1.2.2/24 dev eth0',
  'ip link set eth0 up',
  'until ping -c 1 -W 1 10.1.2.1 >/dev/null; do :; done; sleep 1',
  `dd if=/dev/zero bs=${PIECE} count=${BYTES / PIECE} 2>/dev/null | nc 10.1.2.1 ${PORT}`,
].join('; ');

/** @param {'upcall' | 'qemu'} machine */
export async function measure(machine) {
  const images = await Promise.all([debianImage(RECEIVER, ['net']), debianImage(SENDER, ['net'])]);
  const marks = new Marks();
  if (machine === 'qemu') {
    const problem = await twoQemus(images, marks);
    if (problem !== undefined) return { unavailable: problem };
  } else await twoVms(images, marks);
  return { value: BYTES / 1e6 / (marks.milliseconds / 1000), requests: marks.requests / (BYTES / 4096) };
}

/**
 * @param {readonly import('../debian-guest.js').Image[]} images
 * @param {Marks} marks
 */
async function twoVms(images, marks) {
  const { NetworkHub, VirtioNet, virtioPciCard } = await product('index.js');
  const hub = new NetworkHub();
  /** @type {(() => number)[]} */
  const counts = [];
  const all = () => counts.reduce((sum, count) => sum + count(), 0);
  await Promise.all(
    images.map((image, index) =>
      onUpcall(
        image,
        (bytes) => index === 0 && marks.see(bytes, all),
        (vm, requests) => {
          counts.push(requests);
          vm.attachCard(virtioPciCard(new VirtioNet({ port: hub.port(), mac: MACS[index] ?? '' })));
        },
      ),
    ),
  );
}

/**
 * @param {readonly import('../debian-guest.js').Image[]} images
 * @param {Marks} marks
 */
async function twoQemus(images, marks) {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-bench-net-'));
  const socket = join(folder, 'net');
  try {
    const problems = await Promise.all(
      images.map(async (image, index) => {
        if (index > 0) await isThere(socket);
        const server = index === 0 ? 'on' : 'off';
        const net = `stream,id=net,addr.type=unix,addr.path=${socket},server=${server}`;
        const card = `virtio-net-pci,netdev=net,mac=${MACS[index]}`;
        const devices = ['-serial', 'stdio', '-netdev', net, '-device', card];
        return onQemu(image, devices, (bytes) => index === 0 && marks.see(bytes, () => 0));
      }),
    );
    return problems.find((problem) => problem !== undefined);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Resolves when the first QEMU has made the socket, or after ten seconds. */
async function isThere(/** @type {string} */ path) {
  for (let attempt = 0; attempt < 200 && !existsSync(path); attempt++) await setTimeout(50);
}
