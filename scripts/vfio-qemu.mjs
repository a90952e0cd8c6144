// Runs a QEMU that speaks vfio-user, on any machine with x86-64 and Debian's apt: fetches it the
// first time (fetch-vfio-qemu.mjs), and starts it with its own loader and libraries. So it needs no
// root and sees this machine's files and sockets under their own paths. See --help.
//
// Tests and bench skip what needs it, and say so, until it is there.

import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fetchQemu, isThere, MODULES, target } from './fetch-vfio-qemu.mjs';

const HELP = `vfio:qemu [OPTION...] [QEMU OPTION...]: runs QEMU with cards of "upcall serve --vfio-user"
  --card SOCKET   a card at this socket; may be repeated
  --debian        boots Debian's amd64 kernel with a shell of busybox on this terminal, in a machine
                  that shares its memory with cards. The first card is 00:05.0, the next one 00:06.0
  --run COMMANDS  with --debian: runs them (for sh) instead of the shell, and powers off. Their status
                  is that of this script

Options of QEMU follow these and are added to them. Paths are those of this machine, relative to the
folder in which npm is called. Without any option, QEMU is only fetched, once, from Debian into
${target}
(UPCALL_VFIO_QEMU names another folder). Nothing is installed, and root is not needed.
Ctrl-A X ends a QEMU of --debian, Ctrl-A C is its monitor.

Examples, while "upcall serve --vfio-user card.sock --device my-card.js@pci" runs:
  npm run vfio:qemu -- --debian --card card.sock
  npm run vfio:qemu -- --debian --card card.sock --run 'cat /sys/bus/pci/devices/*/vendor'
  npm run vfio:qemu -- --debian --card card.sock -smp 1 -device edu
  npm run vfio:qemu -- --card card.sock -machine q35 -m 512 -nographic disk.img
`;
const FIRST_SLOT = 5;
const MEMORY = '512M';

// npm changes to the package's folder.
const cwd = process.env.INIT_CWD ?? process.cwd();
const { cards, isDebian, commands, rest } = readArguments(process.argv.slice(2));
if (!isThere()) {
  say('QEMU and a guest are fetched from Debian');
  fetchQemu();
}
if (process.argv.length > 2) await run();
else
  say(
    `QEMU is in ${target}. Run it:\n\n  npm run vfio:qemu -- --debian --card SOCKET\n\nMore: npm run vfio:qemu -- --help`,
  );

/** @type {(words: string[]) => { cards: string[], isDebian: boolean, commands: string | undefined, rest: string[] }} */
function readArguments(words) {
  /** @type {string[]} */
  const cards = [];
  let isDebian = false;
  /** @type {string | undefined} */
  let commands;
  let at = 0;
  const value = (/** @type {string} */ name) => words[at++] ?? fail(`${name} needs a value`);
  for (; at < words.length;) {
    const word = words[at++];
    if (word === '--help' || word === '-h') {
      process.stdout.write(HELP);
      process.exit(0);
    } else if (word === '--debian') isDebian = true;
    else if (word === '--card') cards.push(value(word));
    else if (word === '--run') commands = value(word);
    else {
      at--;
      break;
    }
  }
  if (commands !== undefined && !isDebian) fail('--run needs --debian');
  return { cards, isDebian, commands, rest: words.slice(at) };
}

async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-vfio-qemu-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const options = [...(isDebian ? await debian(folder) : []), ...cards.flatMap(cardOption), ...rest];
  const root = join(target, 'root');
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  const qemu = spawn(
    join(libraries, 'ld-linux-x86-64.so.2'),
    [
      ...['--library-path', libraries, join(root, 'usr/bin/qemu-system-x86_64')],
      ...['-L', join(root, 'usr/share/qemu'), '-L', join(root, 'usr/share/seabios'), ...options],
    ],
    { stdio: 'inherit', cwd, env: { ...process.env, QEMU_MODULE_DIR: join(libraries, 'qemu') } },
  );
  // The terminal gives SIGINT to QEMU, too.
  process.on('SIGINT', () => undefined);
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP'])) process.on(signal, () => qemu.kill(signal));
  qemu.on('error', (error) => fail(error.message));
  // The debug exit device doubles the guest's status, and adds 1.
  qemu.on('close', (code) => (process.exitCode = code === null ? 1 : isDebian && code > 2 ? code >> 1 : code));
}

/** @type {(socket: string, index: number) => string[]} */
function cardOption(path, index) {
  const device = { driver: 'vfio-user-pci', socket: { path, type: 'unix' } };
  return ['-device', JSON.stringify(isDebian ? { ...device, addr: (FIRST_SLOT + index).toString(16) } : device)];
}

/** The machine with Debian. @type {(folder: string) => Promise<string[]>} */
async function debian(folder) {
  const dist = process.env.UPCALL_DIST ?? fileURLToPath(new URL('../dist', import.meta.url));
  /** @type {(file: string) => Promise<any>} */
  const load = (file) => import(pathToFileURL(join(dist, 'cli/debian', file)).href);
  const { buildInitramfs, runParameter, sizeParameter } = await load('initramfs.js');
  const { moduleArchive } = await load('module-archive.js');
  const { debianCommandLine } = await load('command-line.js');
  const guest = (/** @type {string} */ name) => join(target, 'guest', name);
  const modules = MODULES.map((name) => ({ module: { name, bytes: readFileSync(guest(`${name}.ko`)) } }));
  const initrd = join(folder, 'initrd');
  writeFileSync(initrd, Buffer.concat([buildInitramfs(readFileSync(guest('busybox'))), moduleArchive(modules)]));
  const extra = ['panic=-1', commands === undefined ? sizeParameter(process.stdout) : runParameter(commands)];
  return [
    ...['-machine', 'q35,memory-backend=ram', '-m', MEMORY],
    ...['-object', `memory-backend-memfd,id=ram,size=${MEMORY},share=on`],
    ...['-accel', hasKvm() ? 'kvm' : 'tcg,thread=multi', '-smp', '2'],
    ...['-display', 'none', '-nodefaults', '-no-reboot', '-serial', 'mon:stdio'],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-kernel', guest('vmlinuz'), '-initrd', initrd],
    ...['-append', debianCommandLine(extra.filter((word) => word !== undefined).join(' '))],
  ];
}

function hasKvm() {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @type {(text: string) => void} */
function say(text) {
  process.stderr.write(`vfio-qemu: ${text}\n`);
}

/** @type {(text: string) => never} */
function fail(text) {
  say(`${text}. See --help`);
  process.exit(2);
}
