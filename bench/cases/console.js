// @ts-check
/**
 * Characters per second that Debian prints on a console: the serial port, and the virtio console,
 * on upcall and on a QEMU without KVM with the same kernel and initial RAM disk.
 *
 * The guest prints a file of lines with cat, which it makes first, and a mark before and after. The
 * time is that between the marks at the host. Also counted: I/O requests through the page between
 * them, for each character.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { product } from '../product.js';

export const title = 'console of Debian';

const MEMORY_MIB = 128;
const FILE = 'cases/console.js';
/** Of each line, with its end: on a terminal that is CR LF. */
const LINE_CHARACTERS = 64;
const LINES = { uart: 512, virtio: 4096 };
const BEGIN = 'upcall: printing';
const END = 'upcall: printed';

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
  const { debianCommandLine } = await product('cli/debian/command-line.js');
  const { fetchDebian } = await product('cli/debian/fetch-debian.js');
  const guest = await fetchDebian({ progress: () => undefined });
  const device = kind === 'uart' ? 'ttyS0' : 'hvc0';
  const line = 'x'.repeat(LINE_CHARACTERS - 2);
  const commands = [
    `yes ${line} | head -n ${LINES[kind]} >/tmp/lines`,
    `exec >/dev/${device}`,
    `echo ${BEGIN}`,
    'cat /tmp/lines',
    `echo ${END}`,
  ].join('; ');
  const image = {
    kernel: guest.kernel,
    vmlinux: guest.vmlinux,
    initrd: Buffer.concat([await readFile(guest.initrd), await consoleParts(guest.modules, kind)]),
    cmdline: debianCommandLine(`upcall.run="${commands}"`),
  };
  const marks = new Marks();
  if (machine === 'qemu') {
    if (!(await onQemu(image, kind, marks))) return { unavailable: `${QEMU} is not installed` };
  } else await onUpcall(image, kind, marks);
  const characters = LINES[kind] * LINE_CHARACTERS;
  return { value: (characters * 1000) / marks.milliseconds, requests: marks.requests / characters };
}

/** The archives with the driver of the virtio console. */
async function consoleParts(/** @type {string} */ modules, /** @type {Kind} */ kind) {
  if (kind === 'uart') return Buffer.alloc(0);
  const { consoleArchive } = await product('cli/debian/console-archive.js');
  const { moduleArchive } = await product('cli/debian/module-archive.js');
  const { ModuleChoice } = await product('cli/debian/module-choice.js');
  const { PackageModules } = await product('cli/debian/package-modules.js');
  const choice = await ModuleChoice.read(new Set(['console']), []);
  return Buffer.concat([
    moduleArchive(await choice.inOrder(await PackageModules.open(modules))),
    consoleArchive(true, []),
  ]);
}

/** When the marks arrive, and the requests until then. */
class Marks {
  #text = '';
  #begun = { ms: 0, requests: 0 };
  #ended = { ms: 0, requests: 0 };

  /**
   * @param {Uint8Array} bytes
   * @param {() => number} requests
   */
  see(bytes, requests) {
    // The last characters are enough to find a mark that comes in parts.
    this.#text = (this.#text + Buffer.from(bytes).toString('latin1')).slice(-bytes.length - BEGIN.length);
    const now = () => ({ ms: performance.now(), requests: requests() });
    if (this.#begun.ms === 0 && this.#text.includes(BEGIN)) this.#begun = now();
    if (this.#ended.ms === 0 && this.#text.includes(END)) this.#ended = now();
  }

  get milliseconds() {
    if (this.#begun.ms === 0 || this.#ended.ms === 0) throw new Error('the guest has not printed its lines');
    return this.#ended.ms - this.#begun.ms;
  }

  get requests() {
    return this.#ended.requests - this.#begun.requests;
  }
}

/**
 * @typedef {{ kernel: string, vmlinux: string | undefined, initrd: Buffer, cmdline: string }} Image
 * @param {Image} image
 * @param {Kind} kind
 * @param {Marks} marks
 */
async function onUpcall({ kernel, vmlinux, initrd, cmdline }, kind, marks) {
  const { acpiDsdt, ServiceVm, standardPc, V86Hypervisor, VirtioConsole, virtioPciCard } = await product('index.js');
  const serviceVm = new ServiceVm(new V86Hypervisor());
  const vm = await serviceVm.createUserVm({
    image: {
      image: await readFile(kernel),
      ...(vmlinux === undefined ? {} : { vmlinux: await readFile(vmlinux) }),
      initrd,
      cmdline,
      dsdt: await readFile(acpiDsdt()),
      biosTables: true,
    },
    memoryMiB: MEMORY_MIB,
    statistics: true,
  });
  const requests = () => vm.statistics()?.requests ?? 0;
  standardPc(vm, { console: { write: (bytes) => kind === 'uart' && marks.see(bytes, requests) } });
  if (kind === 'virtio') {
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
  await vm.start();
  await vm.ended;
  await serviceVm.close();
}

const QEMU = 'qemu-system-i386';

/**
 * Returns false if there is no QEMU.
 * @param {Image} image
 * @param {Kind} kind
 * @param {Marks} marks
 */
async function onQemu({ kernel, initrd, cmdline }, kind, marks) {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-bench-'));
  const file = join(folder, 'initrd');
  await writeFile(file, initrd);
  const machine = ['-accel', 'tcg', '-m', String(MEMORY_MIB), '-display', 'none', '-no-reboot', '-nic', 'none'];
  const consoles =
    kind === 'uart'
      ? ['-serial', 'stdio']
      : [
          ...['-serial', 'null', '-chardev', 'stdio,id=console', '-device', 'virtio-serial-pci'],
          ...['-device', 'virtconsole,chardev=console'],
        ];
  const child = spawn(
    QEMU,
    [...machine, '-monitor', 'none', ...consoles, '-kernel', kernel, '-initrd', file, '-append', cmdline],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  child.stdout.on('data', (bytes) => marks.see(bytes, () => 0));
  try {
    await once(child, 'exit');
    return true;
  } catch {
    return false;
  } finally {
    await rm(folder, { recursive: true });
  }
}
