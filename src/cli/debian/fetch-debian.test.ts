import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { bzImage, elf, PACKED_ELF_BYTES, XZ_X86 } from '../../hypervisor/boot/fixtures/kernel-images.js';
import { fetchDebian } from './fetch-debian.js';
import { kernelModule } from './fixtures/kernel-module.js';
import { PackageModules } from './package-modules.js';
import { debArchive } from './fixtures/deb-archive.js';
import { SignedArchive } from './fixtures/signed-archive.js';

/**
 * The machine's tools are programs, so the tests put programs of their own in front of them: shell
 * scripts that behave as apt-get and apt-cache do, on a "distribution" that is a folder.
 */
const APT_GET = `#!/bin/sh
case " $* " in
  *" update "*)
    if [ -f "$DISTRIBUTION/hangs" ]; then echo $$ >"$DISTRIBUTION/hangs"; exec sleep 600; fi
    cat "$DISTRIBUTION/update-says" >&2
    grep -q '^APT::Update::Error-Mode "any";' "$2" || exit 0
    exit "$(cat "$DISTRIBUTION/update-status")" ;;
  *" download "*)
    for name; do
      if [ -f "$DISTRIBUTION/$name.deb" ]; then cp "$DISTRIBUTION/$name.deb" "\${name}_1_i386.deb"; echo "$name" >>"$DISTRIBUTION/downloads"; fi
    done ;;
esac
`;
const APT_CACHE = `#!/bin/sh
for last; do :; done
case " $* " in
  *" show "*) cat "$DISTRIBUTION/$last.show" 2>/dev/null || exit 100 ;;
  *" pkgnames "*) cd "$DISTRIBUTION" && ls | sed -n 's/\\.show$//p' | grep "^$last" ;;
esac
`;
const KERNEL = bzImage(XZ_X86, PACKED_ELF_BYTES);
let folder: string;
let distribution: string;
let cacheDir: string;
const path = process.env['PATH'];

async function put(name: string, content: string | Uint8Array): Promise<void> {
  await writeFile(join(distribution, name), content);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upcall-debian-'));
  distribution = join(folder, 'distribution');
  cacheDir = join(folder, 'cache');
  const tools = join(folder, 'tools');
  await mkdir(distribution);
  await mkdir(tools);
  for (const [name, script] of Object.entries({ 'apt-get': APT_GET, 'apt-cache': APT_CACHE }))
    await writeFile(join(tools, name), script, { mode: 0o755 });
  process.env['PATH'] = `${tools}${delimiter}${path ?? ''}`;
  process.env['DISTRIBUTION'] = distribution;

  await put('update-status', '0');
  await put('update-says', '');
  await put(
    'linux-image-686.show',
    'Package: linux-image-686\nVersion: 2\nDepends: linux-image-6.1.0-9-686 (= 6.1-2)\n',
  );
  await put('linux-image-6.1.0-9-686.show', 'Package: linux-image-6.1.0-9-686\nVersion: 6.1-2\n');
  await put(
    'linux-image-6.1.0-9-686.deb',
    debArchive([
      ['./boot/vmlinuz-6.1.0-9-686', KERNEL],
      ['./lib/modules/6.1.0-9-686/kernel/virtio_blk.ko', kernelModule('virtio_blk')],
    ]),
  );
  await put('busybox-static.show', 'Package: busybox-static\nVersion: 1.35\n');
  await put('busybox-static.deb', debArchive([['./bin/busybox', Buffer.from('busybox')]]));
});

afterEach(async () => {
  process.env['PATH'] = path;
  delete process.env['DISTRIBUTION'];
  await rm(folder, { recursive: true });
});

test('kernel and busybox are fetched, the kernel is unpacked, and each step is reported', async () => {
  const steps: string[] = [];
  const guest = await fetchDebian({ cacheDir, progress: (step) => steps.push(step) });
  assert.equal(guest.version, '6.1-2');
  assert.deepEqual(new Uint8Array(await readFile(guest.kernel)), KERNEL);
  assert.deepEqual(new Uint8Array(await readFile(guest.vmlinux ?? '')), elf(PACKED_ELF_BYTES));
  assert.ok((await readFile(guest.initrd)).includes('busybox'));
  assert.deepEqual(await (await PackageModules.open(guest.modules)).names(), ['virtio_blk']);
  assert.equal(steps.length, 3);
  assert.deepEqual(await readdir(cacheDir), ['guest-3']);
});

test('the kernel is also there as a bzImage that is not compressed, and is written again if it is missing', async () => {
  const { unpackedKernel = '' } = await fetchDebian({ cacheDir });
  const image = await readFile(unpackedKernel);
  assert.deepEqual(new Uint8Array(image.subarray(0x400 + 192, 0x400 + 192 + PACKED_ELF_BYTES)), elf(PACKED_ELF_BYTES));
  await rm(unpackedKernel);
  const guests = await Promise.all([1, 2, 3].map(() => fetchDebian({ cacheDir })));
  for (const guest of guests) assert.equal(guest.unpackedKernel, unpackedKernel);
  assert.deepEqual(await readFile(unpackedKernel), image);
  const files = await readdir(dirname(unpackedKernel));
  assert.equal(files.filter((name) => name.startsWith('vmlinuz-unpacked')).length, 1);
});

test('a kernel that cannot be written without compression does not stop the guest, and leaves nothing behind', async () => {
  const { unpackedKernel = '', vmlinux = '', ...others } = await fetchDebian({ cacheDir });
  await rm(unpackedKernel);
  await writeFile(vmlinux, 'not an ELF');
  assert.deepEqual(await fetchDebian({ cacheDir }), { ...others, vmlinux });
  const files = await readdir(dirname(unpackedKernel));
  assert.deepEqual(
    files.filter((name) => name.includes('unpacked')),
    [],
  );
});

test('for another architecture the kernel is another one, in a folder of its own', async () => {
  const name = 'linux-image-6.1.0-9-amd64';
  await put('linux-image-amd64.show', `Package: linux-image-amd64\nVersion: 2\nDepends: ${name} (= 6.1-4)\n`);
  await put(`${name}.show`, `Package: ${name}\nVersion: 6.1-4\n`);
  const module = kernelModule('virtio_blk', '', '6.1.0-9-amd64 SMP', [], 64);
  await put(
    `${name}.deb`,
    debArchive([
      ['./boot/vmlinuz-6.1.0-9-amd64', KERNEL],
      ['./lib/modules/6.1.0-9-amd64/kernel/virtio_blk.ko', module],
    ]),
  );
  const guest = await fetchDebian({ cacheDir, architecture: 'amd64' });
  assert.equal(guest.version, '6.1-4');
  assert.equal(guest.unpackedKernel, undefined);
  assert.deepEqual(await (await PackageModules.open(guest.modules)).names(), ['virtio_blk']);
  assert.equal((await fetchDebian({ cacheDir })).version, '6.1-2');
  assert.deepEqual((await readdir(cacheDir)).sort(), ['guest-3', 'guest-amd64-1']);
  await rm(join(distribution, 'linux-image-amd64.show'));
  await put('linux-image-6.1.0-10-cloud-amd64.show', 'Package: linux-image-6.1.0-10-cloud-amd64\nVersion: 6.1-5\n');
  await rm(cacheDir, { recursive: true });
  assert.equal((await fetchDebian({ cacheDir, architecture: 'amd64' })).version, '6.1-4', 'not a kernel for clouds');
});

test('a cached guest is used without steps and without the tools', async () => {
  const first = await fetchDebian({ cacheDir });
  process.env['PATH'] = join(folder, 'nothing');
  assert.deepEqual(await fetchDebian({ cacheDir, progress: (step) => assert.fail(step) }), first);
});

test('concurrent runs do not disturb each other', async () => {
  const guests = await Promise.all([1, 2, 3].map(() => fetchDebian({ cacheDir })));
  for (const guest of guests) assert.deepEqual(guest, guests[0]);
  assert.deepEqual(await readdir(cacheDir), ['guest-3']);
});

test('a source that fails to update does not matter if the packages are available', async () => {
  await put('update-status', '100');
  assert.equal((await fetchDebian({ cacheDir })).version, '6.1-2');
});

test('without the package that points to the current kernel the newest kernel is used', async () => {
  await rm(join(distribution, 'linux-image-686.show'));
  await put('linux-image-6.1.0-10-686.show', 'Package: linux-image-6.1.0-10-686\nVersion: 6.1-3\n');
  await put('linux-image-6.1.0-10-686.deb', debArchive([['./boot/vmlinuz-6.1.0-10-686', KERNEL]]));
  await put('linux-image-6.2.0-1-rt-686-pae.show', 'Package: linux-image-6.2.0-1-rt-686-pae\nVersion: 6.2\n');
  assert.equal((await fetchDebian({ cacheDir })).version, '6.1-3');
});

async function failure(): Promise<UpcallError> {
  const error: unknown = await fetchDebian({ cacheDir }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof UpcallError, String(error));
  assert.ok((await readdir(cacheDir)).every((name) => !name.startsWith('.unfinished')));
  return error;
}

test('sources without an i386 kernel are reported as such', async () => {
  for (const name of ['linux-image-686', 'linux-image-6.1.0-9-686']) await rm(join(distribution, `${name}.show`));
  const error = await failure();
  assert.equal(error.code, 'DOWNLOAD_FAILED');
  assert.match(error.message, /linux-image-686 for i386/);
  assert.match(error.remedy ?? '', /Debian 12 .* --kernel and --initrd/);
});

test('if no list could be fetched, the error has the last lines of apt', async () => {
  for (const name of await readdir(distribution)) if (name.endsWith('.show')) await rm(join(distribution, name));
  await put('update-status', '100');
  await put('update-says', 'Err: no route to host\n');
  const error = await failure();
  assert.equal(error.code, 'DOWNLOAD_FAILED');
  assert.match(error.message, /Err: no route to host/);
});

test('a package without a kernel is an error with a remedy', async () => {
  await put('linux-image-6.1.0-9-686.deb', debArchive([['./boot/config', Buffer.from('x')]]));
  assert.match((await failure()).message, /vmlinuz/);
});

test('without apt, or with a mirror, the same guest comes from a mirror whose signature is checked', async () => {
  const names = ['linux-image-6.1.0-9-686', 'busybox-static'];
  const archive = await SignedArchive.open(
    await Promise.all(names.map(async (name) => ({ name, file: await readFile(join(distribution, `${name}.deb`)) }))),
  );
  try {
    const withApt = await fetchDebian({
      cacheDir: join(folder, 'apt'),
      keys: [archive.key],
      mirrorWithoutApt: archive.url,
    });
    assert.deepEqual(archive.requests, []);
    await fetchDebian({ cacheDir: join(folder, 'mirror'), keys: [archive.key], mirror: archive.url });
    assert.equal(archive.requests.length, 4);
    process.env['PATH'] = join(folder, 'nothing');
    const steps: string[] = [];
    const guest = await fetchDebian({
      cacheDir,
      keys: [archive.key],
      mirrorWithoutApt: archive.url,
      progress: (step) => steps.push(step),
    });
    assert.equal(guest.version, '1');
    assert.match(steps.join(), /Reading the signed package list of .*Downloading linux-image-6.1.0-9-686 and busybox/);
    assert.deepEqual(await readFile(guest.kernel), await readFile(withApt.kernel));
    await rm(cacheDir, { recursive: true });
    await assert.rejects(fetchDebian({ cacheDir, mirrorWithoutApt: archive.url }), { code: 'SIGNATURE_INVALID' });
    assert.deepEqual(await readdir(cacheDir), []);
  } finally {
    await archive.close();
  }
});

test('a cache that was changed is reported, not repaired', async () => {
  await mkdir(join(cacheDir, 'guest-3'), { recursive: true });
  assert.match((await failure()).message, /guest-3 is not complete/);
});

test('a cache that cannot be written is an error with a remedy', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  await assert.rejects(fetchDebian({ cacheDir: join(file, 'cache') }), {
    code: 'DOWNLOAD_FAILED',
    message: /cannot be used: ENOTDIR/,
    remedy: /XDG_CACHE_HOME/,
  });
});

test('an unfinished folder of a dead process is removed, also when the guest is cached, that of a living one is not', async () => {
  await fetchDebian({ cacheDir });
  const dead = spawnSync('true').pid;
  const left = [`.unfinished-${hostname()}-${dead}-abc`, `.unfinished-elsewhere-${dead}-abc`];
  const living = `.unfinished-${hostname()}-${process.pid}-abc`;
  for (const name of [...left, living]) await mkdir(join(cacheDir, name));
  await fetchDebian({ cacheDir });
  assert.deepEqual((await readdir(cacheDir)).sort(), [left[1], living, 'guest-3'].sort());
  const longAgo = new Date(Date.now() - 2 * 24 * 3600 * 1000);
  await utimes(join(cacheDir, left[1] ?? ''), longAgo, longAgo);
  await fetchDebian({ cacheDir });
  assert.deepEqual((await readdir(cacheDir)).sort(), [living, 'guest-3'].sort());
});

test('an aborted fetch ends its program, leaves nothing behind and rejects', { timeout: 60_000 }, async () => {
  await put('hangs', '');
  const stop = new AbortController();
  const fetching = assert.rejects(fetchDebian({ cacheDir, signal: stop.signal }), { message: 'enough' });
  let pid = '';
  while (pid === '') pid = (await readFile(join(distribution, 'hangs'), 'utf8')).trim();
  stop.abort(new Error('enough'));
  await fetching;
  assert.deepEqual(await readdir(cacheDir), []);
  assert.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' });
  await assert.rejects(fetchDebian({ cacheDir, signal: stop.signal }), { message: 'enough' });
});
