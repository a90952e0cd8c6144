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

/** Two registers that an SVD file describes, a third behind them, and a text that is code. */
const SVD = join(folder, 'acme, rev B.svd');
writeFileSync(
  SVD,
  `<device><name>ACME */</name><size>32</size><peripherals><peripheral><name>TIMER0</name><registers>
  <register><name>CTRL</name><description>runs\\' \`x\` | y</description><addressOffset>0</addressOffset><resetValue>2</resetValue>
    <fields><field><name>EN</name><bitRange>[0:0]</bitRange></field><field><name>MODE</name><bitRange>[2:1]</bitRange>
      <enumeratedValues><enumeratedValue><name>ONCE</name><value>1</value></enumeratedValue></enumeratedValues></field></fields></register>
  <register><name>STATUS</name><addressOffset>4</addressOffset><resetValue>0</resetValue>
    <fields><field><name>DONE</name><bitRange>[0:0]</bitRange><modifiedWriteValues>oneToClear</modifiedWriteValues></field></fields></register>
  <register><name>ID</name><addressOffset>0x24</addressOffset><access>read-only</access><resetValue>0xacce</resetValue></register>
  <register><name>OVER_ID</name><addressOffset>0x24</addressOffset></register>
  </registers></peripheral><peripheral derivedFrom="TIMER0"><name>TIMER1</name></peripheral></peripherals></device>`,
);
const REGISTERS = ['--registers', `${SVD},TIMER1`];

for (const [kind, name, options] of [
  ['device', 'look-counter', []],
  ['card', 'check-sum', ['--pci']],
  ['device', 'acme-timer', REGISTERS],
  ['card', 'acme-card', ['--pci', ...REGISTERS]],
] as const)
  describe(`a ${kind} named ${name}`, () => {
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
      assert.ok(stdout.includes(`cd ${name}\n  npm install\n  npm test`));
      const text = readFileSync(join(project, `${name}.ts`), 'utf8');
      assert.match(text, kind === 'device' ? /class \w+ implements Device/ : /class \w+ implements PciCard/);
      assert.doesNotMatch(text, /new-device|NewDevice|RANGE_LENGTH/);
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
      assert.match(tests.stdout, /# pass [345]\n# fail 0/);
      const types = await node(project, join(root, 'node_modules/typescript/bin/tsc'));
      assert.equal(types.status, 0, types.stdout);
    });

    if (options.length < 2)
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

describe('registers of a file', () => {
  const read = (path: string): string => readFileSync(join(folder, path), 'utf8');

  test('are in the project: map, values, range, and a table', () => {
    const map = read('acme-timer/acme-timer.registers.ts');
    assert.match(map, /name: 'MODE',\n.*meaning: 'MODE',\n.*access: 'rw',\n.*values: \[\n.*value: 1, name: 'ONCE'/);
    assert.match(map, /meaning: "runs\\\\' `x` \| y"/);
    assert.match(read('acme-timer/README.md'), /\| 0x0 \| CTRL \| 4 \| rw \| 0x2 \| runs\\\\' \\`x\\` \\\| y \|/);
    assert.match(read('acme-timer/package.json'), /mmio:0xd0000000\+0x40,line=5/);
    assert.match(read('acme-card/acme-card.ts'), /bars: \[\{ type: 'memory', size: 0x40 \}\]/);
  });

  test('that lie over another one are named, and left out', async () => {
    const { stderr } = await upcall(['new', 'device', 'named', '--no-install', ...REGISTERS], '', { cwd: folder });
    assert.match(stderr, /OVER_ID lies over ID, and is left out/);
    assert.doesNotMatch(read('named/named.registers.ts'), /OVER_ID/);
  });

  test('fail the project’s test if the device does not keep its map', async () => {
    const file = join(folder, 'acme-timer/acme-timer.state.ts');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('value &= ~(written & mask)', 'value |= written & mask'));
    const tests = await node(
      join(folder, 'acme-timer'),
      '--import',
      'tsx',
      '--test',
      '--test-reporter=tap',
      'acme-timer.test.ts',
    );
    writeFileSync(file, text);
    assert.equal(tests.status, 1);
    assert.match(tests.stdout, /STATUS\.DONE: a write of 1 does not clear it/);
  });

  test('are those of the guest', async () => {
    const scripts = (JSON.parse(read('acme-timer/package.json')) as PackageJson).scripts;
    const [, ...parameters] = (scripts['start'] ?? '').split(' ');
    const commands = 'rd32 d0000024; wr32 d0000000 ffffffff; rd32 d0000000; rd32 d0000008; poweroff';
    const { status, stdout, stderr } = await upcall([...parameters, '--cmdline', commands], '', {
      cwd: join(folder, 'acme-timer'),
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /0000acce[\s\S]*00000007[\s\S]*ffffffff/i);
  });

  for (const [name, option, message] of [
    ['a missing file', 'none.svd,A', /--registers none\.svd: no such file\. Give a CMSIS-SVD file/],
    ['a missing peripheral', `${SVD},TIMER2`, /acme, rev B\.svd: it has no TIMER2\. Name one .*: TIMER0, TIMER1/],
    ['no peripheral of two', SVD, /acme, rev B\.svd: it has 2 peripherals\. Name one/],
  ] as const)
    test(`${name} is refused before a folder is made`, async () => {
      const { status, stderr } = await upcall(['new', 'device', 'refused', '--registers', option], '', { cwd: folder });
      assert.notEqual(status, 0);
      assert.match(stderr, message);
      assert.equal(existsSync(join(folder, 'refused')), false);
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
