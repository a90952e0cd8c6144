// Runs a command in a machine that has KVM, on a machine that has none: QEMU interprets (TCG) a PC
// with AMD's virtualization, Debian's amd64 kernel with the module kvm-amd runs in it, and its root
// file system is this machine's. See --help, and docs/kvm.md.
//
// The root is mounted by 9P for reading, under an overlay in memory: the command may write
// anywhere, and all that it wrote is gone at the end.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { fetchKernel, load } from './debian-kernel.mjs';

const HELP = `kvm:machine [OPTION...] COMMAND [WORD...]: runs a command where /dev/kvm is, in QEMU without KVM
  --cpus N          processors of the machine (default: 2)
  --memory MIB      its memory, in which its changes of files are, too (default: 4096)
  --cpu MODEL       QEMU's model of the processor, which needs SVM (default: max, without what is wrong in it)
  --timeout SECONDS ends the machine after that time (default: 3600)
  --console         prints the kernel's messages

The command sees this machine's files in this folder, as root. What it writes is lost at the end.
Its output is one stream, it has no input, and its exit status is that of this script.
Programs are about ten times slower than here. Limits of tests are longer: UPCALL_SLOWNESS is set.

Examples:
  npm run kvm:machine -- node scripts/test.mjs hypervisor/kvm
  npm run kvm:machine -- ./upcall doctor
  npm run kvm:machine -- sh -c 'node scripts/test.mjs kvm-smp; dmesg | tail'
`;
/** The script itself failed. */
const FAILED = 125;
const TIMED_OUT = 124;
const MODULES = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'overlay', 'kvm_amd'];
/** Changes with MODULES. */
const CACHE_NAME = 'kvm-machine-1';
const SLOWNESS = 10;
const CONSOLE_LINES = 15;
/** Variables that the command gets, too. */
const PASSED_ON = /^(?:PATH|HOME|LANG|TERM|NODE_\w+|UPCALL_\w+|XDG_CACHE_HOME|FORCE_COLOR|NO_COLOR)$/;

/**
 * The family of a processor whose kernel does not search all buses for a GART. Without XSAVE:
 * QEMU does not intercept XSETBV, so a guest of KVM would change XCR0 for the host.
 */
const CPU = 'max,la57=off,xsave=off,family=23,model=1,stepping=2';

const OPTIONS = /** @type {const} */ ({
  cpus: { type: 'string', default: '2' },
  memory: { type: 'string', default: '4096' },
  cpu: { type: 'string', default: CPU },
  timeout: { type: 'string', default: '3600' },
  console: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
});
const { options, command } = readArguments(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), 'upcall-kvm-machine-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
try {
  process.exitCode = await run(await fetchKernel(CACHE_NAME, MODULES, say));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = FAILED;
}

/** @type {(words: string[]) => { options: Record<string, any>, command: string[] }} */
function readArguments(words) {
  // What follows the command's name is the command's.
  const { tokens } = parseArgs({ args: words, options: OPTIONS, strict: false, allowPositionals: true, tokens: true });
  const first = tokens.find(({ kind }) => kind === 'positional')?.index ?? words.length;
  try {
    const { values } = parseArgs({ args: words.slice(0, first).filter((word) => word !== '--'), options: OPTIONS });
    for (const name of /** @type {const} */ (['cpus', 'memory', 'timeout']))
      if (!(Number(values[name]) > 0)) throw new Error(`--${name} is a number above 0`);
    if (values.help === true || first === words.length) {
      process.stdout.write(HELP);
      process.exit(values.help === true ? 0 : 2);
    }
    return { options: values, command: words.slice(first) };
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}. See --help`);
    process.exit(2);
  }
}

/** @type {(kernel: import('./debian-kernel.mjs').Kernel) => Promise<number>} The exit status. */
async function run({ kernel, busybox, modules }) {
  const file = (/** @type {string} */ name) => join(folder, name);
  writeFileSync(file('initrd'), await initialRamDisk(busybox, modules));
  const started = performance.now();
  const seconds = () => ((performance.now() - started) / 1000).toFixed(0);
  /** @type {number | undefined} */
  let status;
  const servers = await Promise.all([
    serve(file('reports'), (socket) =>
      createInterface({ input: socket }).on('line', (line) => {
        if (line === 'started') say(`the machine has booted after ${seconds()} s`);
        else status = Number(line.replace('ended ', ''));
      }),
    ),
    serve(file('output'), (socket) => socket.pipe(process.stdout, { end: false })),
    serve(file('messages'), (socket) =>
      options.console ? socket.pipe(process.stderr, { end: false }) : socket.resume(),
    ),
  ]);
  say(`a machine with ${options.cpus} processors and ${options.memory} MiB boots, which takes half a minute`);
  const qemu = spawn('qemu-system-x86_64', qemuParameters(kernel, file), { stdio: ['ignore', 'ignore', 'inherit'] });
  let isLate = false;
  const limit = setTimeout(
    () => {
      isLate = true;
      qemu.kill();
    },
    Number(options.timeout) * 1000,
  );
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => qemu.kill());
  await new Promise((resolve, reject) => {
    qemu.on('error', () => reject(new Error('there is no qemu-system-x86_64: apt install qemu-system-x86')));
    qemu.on('close', resolve);
  });
  clearTimeout(limit);
  for (const server of servers) server.close();
  if (isLate) say(`ended after the ${options.timeout} s of --timeout`);
  if (status !== undefined) {
    say(`the command ended with status ${status}, after ${seconds()} s with the boot`);
    return status;
  }
  const lines = readFileSync(file('console'), 'latin1').trimEnd().split('\n').slice(-CONSOLE_LINES);
  say(`the machine ended before its command. Its last messages:\n${lines.join('\n')}`);
  return isLate ? TIMED_OUT : FAILED;
}

/** @type {(path: string, onSocket: (socket: import('node:net').Socket) => void) => Promise<import('node:net').Server>} */
function serve(path, onSocket) {
  const server = createServer((socket) => onSocket(socket.on('error', () => undefined)));
  return new Promise((resolve) => server.listen(path, () => resolve(server)));
}

/** @type {(kernel: string, file: (name: string) => string) => string[]} */
function qemuParameters(kernel, file) {
  const linux = 'console=ttyS0 panic=-1 loglevel=4 mitigations=off nokaslr tsc=reliable no_timer_check';
  const socket = (/** @type {string} */ name) => ['-chardev', `socket,id=${name},path=${file(name)}`];
  return [
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', options.cpu, '-smp', options.cpus],
    ...['-m', options.memory, '-display', 'none', '-nodefaults', '-no-reboot'],
    ...['-kernel', kernel, '-initrd', file('initrd'), '-append', linux],
    ...['-chardev', `socket,id=messages,path=${file('messages')},logfile=${file('console')}`],
    ...['-serial', 'chardev:messages', '-device', 'virtio-serial-pci'],
    ...[...socket('output'), '-device', 'virtserialport,chardev=output'],
    ...[...socket('reports'), '-device', 'virtserialport,chardev=reports'],
    ...['-fsdev', 'local,id=root,path=/,security_model=none,readonly=on,multidevs=remap'],
    ...['-device', 'virtio-9p-pci,fsdev=root,mount_tag=root'],
  ];
}

/** @type {(busybox: Uint8Array, modules: { name: string, bytes: Uint8Array }[]) => Promise<Uint8Array>} */
async function initialRamDisk(busybox, modules) {
  const { CpioArchive } = await load('cpio-archive.js');
  const archive = new CpioArchive();
  for (const path of ['bin', 'dev', 'proc', 'sys', 'host', 'changes', 'root']) archive.directory(path);
  archive.characterDevice('dev/console', 5, 1);
  archive.file('bin/busybox', busybox, 0o755);
  for (const { name, bytes } of modules) archive.file(`${name}.ko`, bytes);
  archive.file('init', init(modules.map(({ name }) => name)), 0o755);
  archive.file('command', commandScript());
  return archive.bytes();
}

/** @type {(modules: string[]) => string} */
function init(modules) {
  return `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in ${modules.join(' ')}; do insmod /$module.ko; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /host
mount -t tmpfs -o size=90% changes /changes
mkdir /changes/upper /changes/work
mount -t overlay -o lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work root /root
for folder in proc sys dev; do mount --move /$folder /root/$folder; done
mkdir -p /root/dev/shm /root/dev/pts
mount -t tmpfs shm /root/dev/shm
mount -t devpts pts /root/dev/pts
mount -t tmpfs run /root/run
ln -s /proc/self/fd /root/dev/fd
ip link set lo up
hostname kvm-machine
cp /command /root/run/command
[ -c /root/dev/kvm ] || echo 'kvm-machine: the module kvm-amd gives no /dev/kvm' >/root/dev/vport0p1
echo started >/root/dev/vport0p2
# Through cat: a port can be opened once only.
chroot /root /bin/sh -c '{ sh /run/command; echo $? >/run/status; } 2>&1 </dev/null | cat >/dev/vport0p1'
echo "ended $(cat /root/run/status)" >/root/dev/vport0p2
poweroff -f
`;
}

/** The command with its environment, for sh. */
function commandScript() {
  const variables = Object.entries({ ...process.env, UPCALL_SLOWNESS: String(SLOWNESS) });
  const passed = variables.filter(([name]) => PASSED_ON.test(name));
  return [
    ...passed.map(([name, value = '']) => `export ${name}=${quoted(value)}`),
    `cd ${quoted(process.cwd())} || exit`,
    command.map(quoted).join(' '),
    '',
  ].join('\n');
}

/** @type {(text: string) => string} */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** @type {(text: string) => void} */
function say(text) {
  process.stderr.write(`kvm-machine: ${text}\n`);
}
