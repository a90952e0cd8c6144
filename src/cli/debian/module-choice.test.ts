import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { kernelModule, VERMAGIC } from './fixtures/kernel-module.js';
import { readCpio } from './fixtures/read-cpio.js';
import { moduleArchive } from './module-archive.js';
import { ModuleChoice, type ModuleArgument } from './module-choice.js';
import type { ModuleGroup } from './module-groups.js';
import { PackageModules } from './package-modules.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-module-choice-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'package'));
function put(file: string, bytes: Uint8Array): string {
  writeFileSync(join(folder, file), bytes);
  return join(folder, file);
}
for (const [name, depends] of [
  ['virtio_pci', 'virtio'],
  ['virtio', ''],
  ['virtio_blk', 'virtio'],
] as const)
  put(`package/${name}.ko`, kernelModule(name, depends));
const packageModules = await PackageModules.open(join(folder, 'package'));
const mine = put('mine-file.ko', kernelModule('mine', 'virtio'));

async function choose(groups: readonly ModuleGroup[], ...given: (string | ModuleArgument)[]): Promise<string[]> {
  const modules = given.map((module) => (typeof module === 'string' ? { file: module, text: module } : module));
  const choice = await ModuleChoice.read(new Set(groups), modules);
  return (await choice.inOrder(packageModules)).map(({ module, parameters }) => `${module.name} ${parameters}`);
}

test('without an option nothing is loaded, and the modules are not even read', async () => {
  const choice = await ModuleChoice.read(new Set(), []);
  assert.deepEqual(await choice.inOrder(await PackageModules.open(join(folder, 'absent'))), []);
});

test('groups come first, then modules by name and by file, each with its parameters', async () => {
  assert.deepEqual(await choose(['block'], { file: mine, text: 'a=1 b=2,3' }), [
    'virtio ',
    'virtio_pci ',
    'virtio_blk ',
    'mine a=1 b=2,3',
  ]);
  assert.deepEqual(await choose([], { file: 'virtio-blk', text: 'queue_depth=4' }, mine), [
    'virtio ',
    'virtio_blk queue_depth=4',
    'mine ',
  ]);
});

test('invalid modules are refused with a remedy', async () => {
  const foreign = put('foreign.ko', kernelModule('foreign', '', '6.1.0-8-amd64 SMP'));
  const cases: readonly (readonly [given: (string | ModuleArgument)[], code: string, message: RegExp])[] = [
    [
      [foreign],
      'OPTION_INVALID',
      /foreign is built for the kernel "6\.1\.0-8-amd64 SMP", and Debian's is "6\.1\.0-9-686 SMP mod_unload"/,
    ],
    [[join(folder, 'absent.ko')], 'IMAGE_NOT_FOUND', /cannot read .*absent\.ko/],
    [['./x.ko.xz'], 'OPTION_INVALID', /debian takes kernel modules/],
    [['absent'], 'OPTION_INVALID', /no module absent/],
    [['virtio', 'virtio'], 'OPTION_INVALID', /virtio is given twice/],
    [[mine, 'mine'], 'OPTION_INVALID', /mine is given twice/],
    [[{ file: mine, text: 'a\nb' }], 'OPTION_INVALID', /line break/],
  ];
  for (const [given, code, message] of cases) await assert.rejects(choose([], ...given), { code, message });
  await assert.rejects(choose([], foreign), { remedy: /linux-headers-6\.1\.0-9-686 for i386/ });
});

test('the archive has the modules and the order to load them in', async () => {
  const choice = await ModuleChoice.read(new Set(), [{ file: mine, text: 'a=1' }]);
  const archive = moduleArchive(await choice.inOrder(packageModules));
  const entries = readCpio(archive);
  assert.deepEqual(
    entries.map(({ path }) => path),
    ['lib', 'lib/modules', 'lib/modules/virtio.ko', 'lib/modules/mine.ko', 'lib/modules/order'],
  );
  assert.equal(entries[3]?.content, kernelModule('mine', 'virtio').toString('latin1'));
  assert.equal(entries[4]?.content, 'virtio \nmine a=1\n');
  assert.equal(VERMAGIC.startsWith('6.1.0-9-686 '), true);
  assert.equal(moduleArchive([]).length, 0);
});
