// @ts-check
/**
 * Characters per second that Debian prints on a console: the serial port, and the virtio console,
 * on upcall and on a QEMU without KVM with the same kernel and initial RAM disk.
 *
 * The guest prints a file of lines with cat, which it makes first, and a mark before and after. The
 * time is that between the marks at the host. Also counted: I/O requests through the page between
 * them, for each character.
 */

import { BEGIN, debianImage, END, Marks, onQemu, onUpcall } from '../debian-guest.js';
import { product } from '../product.js';

export const title = 'console of Debian';

const FILE = 'cases/console.js';
/** Of each line, with its end: on a terminal that is CR LF. */
const LINE_CHARACTERS = 64;
const LINES = { uart: 512, virtio: 4096 };

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'console characters/s, virtio',
    unit: '/s',
    process: { file: FILE, args: ['upcall', 'virtio'] },
    compare: [{ to: 'console characters/s, serial port' }, { to: 'console characters/s, virtio, QEMU' }],
  },
  {
    name: 'requests per character, virtio console',
    unit: '',
    process: { file: FILE, args: ['upcall', 'virtio'] },
    value: 'requests',
    compare: [{ to: 'requests per character, serial port' }],
  },
  {
    name: 'console characters/s, serial port',
    unit: '/s',
    process: { file: FILE, args: ['upcall', 'uart'] },
    compare: [{ to: 'console characters/s, serial port, QEMU' }],
  },
  {
    name: 'requests per character, serial port',
    unit: '',
    process: { file: FILE, args: ['upcall', 'uart'] },
    value: 'requests',
  },
  { name: 'console characters/s, virtio, QEMU', unit: '/s', process: { file: FILE, args: ['qemu', 'virtio'] } },
  { name: 'console characters/s, serial port, QEMU', unit: '/s', process: { file: FILE, args: ['qemu', 'uart'] } },
];

/** @typedef {'uart' | 'virtio'} Kind */

/**
 * @param {'upcall' | 'qemu'} machine
 * @param {Kind} kind
 */
export async function measure(machine, kind) {
  const device = kind === 'uart' ? 'ttyS0' : 'hvc0';
  const line = 'x'.repeat(LINE_CHARACTERS - 2);
  const commands = [
    `yes ${line} | head -n ${LINES[kind]} >/tmp/lines`,
    `exec >/dev/${device}`,
    `echo ${BEGIN}`,
    'cat /tmp/lines',
    `echo ${END}`,
  ].join('; ');
  const { consoleArchive } = await product('cli/debian/console-archive.js');
  const image =
    kind === 'uart'
      ? await debianImage(commands, [])
      : await debianImage(commands, ['console'], [consoleArchive(true, [])]);
  const marks = new Marks();
  if (machine === 'qemu') {
    const problem = await onQemu(image, QEMU_CONSOLES[kind], (bytes) => marks.see(bytes, () => 0));
    if (problem !== undefined) return { unavailable: problem };
  } else {
    await onUpcall(
      image,
      (bytes, requests) => kind === 'uart' && marks.see(bytes, requests),
      (vm, requests) => (kind === 'uart' ? undefined : attachConsole(vm, requests, marks)),
    );
  }
  const characters = LINES[kind] * LINE_CHARACTERS;
  return { value: (characters * 1000) / marks.milliseconds, requests: marks.requests / characters };
}

const QEMU_CONSOLES = {
  uart: ['-nic', 'none', '-serial', 'stdio'],
  virtio: [
    ...['-nic', 'none', '-serial', 'null', '-chardev', 'stdio,id=console', '-device', 'virtio-serial-pci'],
    ...['-device', 'virtconsole,chardev=console'],
  ],
};

/**
 * @param {import('../debian-guest.js').UserVm} vm
 * @param {() => number} requests
 * @param {Marks} marks
 */
async function attachConsole(vm, requests, marks) {
  const { VirtioConsole, virtioPciCard } = await product('index.js');
  const backend = {
    connect: (/** @type {import('../../dist/index.js').ConsolePortHandle} */ port) => port.setOpen(true),
    write: (/** @type {Uint8Array} */ bytes) => {
      marks.see(bytes, requests);
      return bytes.length;
    },
    room: () => undefined,
    close: () => Promise.resolve(),
  };
  vm.attachCard(virtioPciCard(new VirtioConsole({ console: backend })));
}
