// Fetches a QEMU that speaks vfio-user, with a kernel for its guest, into a folder of its own: from
// Debian's trixie and trixie-backports, with the machine's apt and its keys. Nothing is installed.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const MIRROR = 'http://deb.debian.org/debian';
const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';
const PACKAGES = ['qemu-system-x86', 'linux-image-amd64', 'busybox-static'];
/** Drivers of the guest that are not in its kernel, in the order of loading. */
export const MODULES = ['failover', 'net_failover', 'virtio_net', 'virtio_blk'];
const UNPACK_LIMIT_MS = 300_000;

const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
/** The folder, which UPCALL_VFIO_QEMU may name. */
export const target = process.env.UPCALL_VFIO_QEMU ?? join(cache, 'upcall', 'qemu-vfio-user');

export const isThere = () => existsSync(join(target, 'complete'));

export function fetchQemu() {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-qemu-'));
  try {
    fetchPackages(folder);
    unpack(folder);
    mkdirSync(target, { recursive: true });
    for (const part of ['root', 'guest']) {
      rmSync(join(target, part), { recursive: true, force: true });
      // Over a file system's border it has to be copied.
      cpSync(join(folder, part), join(target, part), { recursive: true, verbatimSymlinks: true });
    }
    writeFileSync(join(target, 'complete'), '');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @type {(folder: string) => void} */
function fetchPackages(folder) {
  for (const part of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, part), { recursive: true });
  const suites = ['trixie', 'trixie-backports'].map((suite) => `deb [signed-by=${KEYS}] ${MIRROR} ${suite} main\n`);
  writeFileSync(join(folder, 'sources.list'), suites.join(''));
  writeFileSync(join(folder, 'status'), '');
  const options = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Architecture': 'amd64',
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
  };
  const settings = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  run('apt-get', [...settings, '-q', 'update']);
  run('apt-get', [...settings, '-q', '-y', '--download-only', '-t', 'trixie-backports', 'install', ...PACKAGES]);
}

/** @type {(folder: string) => void} */
function unpack(folder) {
  const archives = join(folder, 'cache/archives');
  const root = join(folder, 'root');
  const guest = join(folder, 'guest');
  const kernel = join(folder, 'kernel');
  for (const one of [root, guest, kernel]) mkdirSync(one);
  for (const file of readdirSync(archives).filter((name) => name.endsWith('.deb')))
    run('dpkg-deb', ['-x', join(archives, file), /^(linux|busybox)-/.test(file) ? kernel : root]);
  // Merged /usr: the packages hold no links for it.
  for (const name of ['bin', 'sbin', 'lib', 'lib64'])
    if (existsSync(join(root, 'usr', name)) && !existsSync(join(root, name)))
      run('ln', ['-s', `usr/${name}`, join(root, name)]);
  mkdirSync(join(root, 'run'), { recursive: true });
  renameSync(join(kernel, 'usr/bin/busybox'), join(guest, 'busybox'));
  for (const path of readdirSync(kernel, { recursive: true }).map(String)) {
    const name = basename(path);
    if (/^vmlinuz/.test(name)) renameSync(join(kernel, path), join(guest, 'vmlinuz'));
    const module = /^([\w-]+)\.ko\.xz$/.exec(name)?.[1];
    if (module === undefined || !MODULES.includes(module)) continue;
    run('xz', ['-d', join(kernel, path)]);
    renameSync(join(kernel, path.slice(0, -3)), join(guest, `${module}.ko`));
  }
}

/** @type {(program: string, parameters: string[]) => void} */
function run(program, parameters) {
  const { status, error } = spawnSync(program, parameters, {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: UNPACK_LIMIT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status === 0) return;
  throw new Error(`${program} ${parameters.at(-1)} failed: ${error?.message ?? `status ${status}`}`);
}
