import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { kernelModule, VERMAGIC } from './fixtures/kernel-module.js';
import { debArchive } from './fixtures/deb-archive.js';
import { readKernelPackage } from './kernel-package.js';
import { readKernelModule } from './kernel-module.js';
import { PackageModules, writeModules } from './package-modules.js';

let folder: string;
let kept: string;

/** The package: `virtio_rng` needs modules that no list names, and one has a hyphen. */
const FILES: readonly (readonly [path: string, content: Uint8Array])[] = [
  ['lib/modules/6.1/kernel/virtio-rng.ko', kernelModule('virtio_rng', 'virtio,virtio_ring,core')],
  ['lib/modules/6.1/kernel/drivers/virtio.ko', kernelModule('virtio')],
  ['lib/modules/6.1/kernel/drivers/virtio_ring.ko', kernelModule('virtio_ring', 'virtio,deep')],
  ['lib/modules/6.1/kernel/deep.ko', kernelModule('deep', 'deepest')],
  ['lib/modules/6.1/kernel/deepest.ko', kernelModule('deepest')],
  ['lib/modules/6.1/kernel/other.ko', kernelModule('other')],
  ['lib/modules/6.1/kernel/lacking.ko', kernelModule('lacking', 'nowhere')],
  ['lib/modules/6.1/modules.builtin', Buffer.from('kernel/hw/core.ko\nkernel/hw/rng-core.ko\n')],
];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upcall-modules-'));
  kept = join(folder, 'kept');
  await writeFile(join(folder, 'x.deb'), debArchive(FILES));
});

afterEach(() => rm(folder, { recursive: true }));

async function open(...names: string[]): Promise<PackageModules> {
  await writeModules(kept, await readKernelPackage(join(folder, 'x.deb'), names));
  return PackageModules.open(kept);
}

const namesOf = (modules: readonly { name: string }[]): string[] => modules.map(({ name }) => name);

test('the modules and all that they depend on are kept, and nothing else', async () => {
  await open('virtio_rng', 'absent');
  const expected = ['virtio_rng', 'virtio', 'virtio_ring', 'deep', 'deepest'].map((name) => `${name}.ko`);
  assert.deepEqual((await readdir(kept)).sort(), [...expected, 'builtin'].sort());
  assert.deepEqual(await readFile(join(kept, 'virtio_rng.ko')), FILES[0]?.[1]);
  assert.deepEqual((await readdir(folder)).sort(), ['kept', 'x.deb']);
});

test('each module comes once, after its dependencies', async () => {
  const modules = await open('virtio_rng', 'other');
  assert.deepEqual(namesOf(await modules.inOrder(['other', 'virtio-rng', 'virtio'])), [
    'other',
    'virtio',
    'deepest',
    'deep',
    'virtio_ring',
    'virtio_rng',
  ]);
  assert.equal(await modules.vermagic(), VERMAGIC.trim());
});

test('a module that is part of the kernel needs no file', async () => {
  assert.deepEqual(await (await open('other')).inOrder(['rng_core', 'core']), []);
});

test('a module that is missing is named, with the one that needs it', async () => {
  const modules = await open('lacking');
  await assert.rejects(modules.inOrder(['absent']), { code: 'OPTION_INVALID', message: /no module absent for/ });
  await assert.rejects(modules.inOrder(['lacking']), { message: /no module nowhere for .*, which lacking needs/ });
});

test('modules of the operator come after what they need, and before those that need them', async () => {
  const modules = await open('virtio', 'lacking');
  const own = [kernelModule('mine', 'nowhere,virtio'), kernelModule('nowhere', 'core')].map((bytes) =>
    readKernelModule('x.ko', bytes),
  );
  assert.deepEqual(namesOf(await modules.inOrder(['lacking'], own)), ['nowhere', 'lacking', 'virtio', 'mine']);
});

test('modules that need each other do not hang', async () => {
  const modules = await open('virtio');
  const own = [kernelModule('a', 'b'), kernelModule('b', 'a')].map((bytes) => readKernelModule('x.ko', bytes));
  assert.deepEqual(namesOf(await modules.inOrder([], own)), ['b', 'a']);
});

test('a package without modules has none, and one of another layout is read as well', async () => {
  await writeFile(join(folder, 'x.deb'), debArchive([['boot/vmlinuz-6.1', Buffer.from('x')]]));
  const modules = await open('virtio');
  assert.equal(await modules.vermagic(), undefined);
  await assert.rejects(modules.inOrder(['virtio']), { code: 'OPTION_INVALID' });
  const merged = FILES.map(([path, content]) => [`usr/${path}`, content] as const);
  await writeFile(join(folder, 'x.deb'), debArchive([['boot/vmlinuz-6.1', Buffer.from('kernel')], ...merged]));
  const { kernel, modules: found, builtIn } = await readKernelPackage(join(folder, 'x.deb'), ['virtio-rng']);
  assert.equal(Buffer.from(kernel ?? []).toString(), 'kernel');
  assert.deepEqual(builtIn, ['core', 'rng_core']);
  assert.equal(found.length, 5);
});
