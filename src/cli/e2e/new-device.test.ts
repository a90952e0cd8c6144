/**
 * `upcall new device`: the project that it creates, whose own test, types and start commands run.
 * The packages are linked from the checkout, so that no network is needed.
 */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { start, upcall, type Ended } from './upcall-process.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'upcall-new-'));
after(() => rmSync(folder, { recursive: true }));

interface PackageJson {
  readonly scripts: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

function node(cwd: string, ...args: readonly string[]): Promise<Ended> {
  return start(process.execPath, args, { cwd }).ended;
}

for (const [kind, name, options] of [
  ['device', 'look-counter', []],
  ['card', 'check-sum', ['--pci']],
] as const)
  describe(`a ${kind}`, () => {
    const project = join(folder, name);
    const packageJson = (): PackageJson =>
      JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as PackageJson;

    test('is created, with its name everywhere', async () => {
      const { status, stdout, stderr } = await upcall(['new', 'device', name, '--no-install', ...options], '', {
        cwd: folder,
      });
      assert.equal(status, 0, stderr);
      for (const file of [
        `${name}.ts`,
        `${name}.bench.ts`,
        `${name}.test.ts`,
        'tsconfig.json',
        '.gitignore',
        '.vscode/launch.json',
        'README.md',
      ])
        assert.ok(existsSync(join(project, file)) && stdout.includes(file), file);
      assert.match(stdout, /cd (look-counter|check-sum)\n {2}npm install\n {2}npm test/);
      const text = readFileSync(join(project, `${name}.ts`), 'utf8');
      assert.match(
        text,
        kind === 'device' ? /class LookCounter implements Device/ : /class CheckSum implements PciCard/,
      );
      assert.doesNotMatch(text, /new-device|NewDevice/);
      JSON.parse(readFileSync(join(project, '.vscode/launch.json'), 'utf8'));
      assert.match(packageJson().devDependencies['upcall'] ?? '', /^file:.*\.\./);
      for (const dependency of Object.keys(packageJson().devDependencies)) {
        const link = join(project, 'node_modules', dependency);
        mkdirSync(dirname(link), { recursive: true });
        symlinkSync(dependency === 'upcall' ? root : join(root, 'node_modules', dependency), link);
      }
    });

    test('passes its test and the check of its types', async () => {
      const tests = await node(project, '--import', 'tsx', '--test', '--test-reporter=tap', `${name}.test.ts`);
      assert.equal(tests.status, 0, tests.stdout);
      assert.match(tests.stdout, /# pass [45]\n# fail 0/);
      const types = await node(project, join(root, 'node_modules/typescript/bin/tsc'));
      assert.equal(types.status, 0, types.stdout);
    });

    test('fails its test when it is broken, with the program that shows it', async () => {
      const file = join(project, `${name}.ts`);
      const text = readFileSync(file, 'utf8');
      writeFileSync(
        file,
        text.replace('    if (size !== 4) return;\n', "    if (size === 2) throw new Error('two');\n"),
      );
      const tests = await node(project, '--import', 'tsx', '--test', '--test-reporter=tap', `${name}.test.ts`);
      writeFileSync(file, text);
      assert.equal(tests.status, 1);
      assert.match(tests.stdout, /write\(0x[0-9a-f]+,2,0x[0-9a-f]+\) throws: two/);
      assert.match(
        readFileSync(join(project, 'found.test.ts'), 'utf8'),
        /^ {4}await play\(bench, "write\(0x[^ ]*\)"\);$/m,
      );
    });
  });

test('its start command runs the device in the monitor', async () => {
  const scripts = (JSON.parse(readFileSync(join(folder, 'look-counter/package.json'), 'utf8')) as PackageJson).scripts;
  const [command, ...parameters] = (scripts['start'] ?? '').split(' ');
  assert.equal(command, 'upcall');
  const { status, stdout, stderr } = await upcall(
    [...parameters, '--cmdline', 'in32 500; out32 508 7; in32 508; poweroff'],
    '',
    { cwd: join(folder, 'look-counter') },
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /0x55500001/i);
  assert.match(stdout, /0x0*7\b/);
});

for (const [name, parameters, message] of [
  [
    'a name that no file can have',
    ['Look Counter'],
    /the name "Look Counter" cannot be that of a file and a class\. Use at most/,
  ],
  ['a folder with files', ['look-counter'], /look-counter has files already\. Choose another name/],
  ['a folder that is a file', ['x', '--folder', 'file'], /file cannot be used: it is not a folder/],
] as const)
  test(`${name} is refused`, async () => {
    writeFileSync(join(folder, 'file'), '');
    const { status, stderr } = await upcall(['new', 'device', ...parameters, '--no-install'], '', { cwd: folder });
    assert.equal(status, 2);
    assert.match(stderr, message);
  });

test('npm install that fails leaves a whole project, and says what to do', async () => {
  const { status, stderr } = await upcall(['new', 'device', 'alone'], '', {
    cwd: folder,
    env: { PATH: '/nonexistent' },
  });
  assert.notEqual(status, 0);
  assert.match(stderr, /npm install failed \(.*\)\. Run npm install in .*alone, which is complete/);
  assert.ok(existsSync(join(folder, 'alone/alone.ts')));
});

/** A class that would hide what its module imports has another name. */
test('a device named device is a DeviceDevice', async () => {
  const { status } = await upcall(['new', 'device', 'device', '--no-install'], '', { cwd: folder });
  assert.equal(status, 0);
  assert.match(readFileSync(join(folder, 'device/device.ts'), 'utf8'), /class DeviceDevice implements Device/);
});
