/**
 * The package as npm makes it, in an empty project: its command, examples and types. The dependencies are linked from
 * here, so that no network is needed.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { start, type Ended } from './upcall-process.js';

const build = fileURLToPath(new URL('../../', import.meta.url));
const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'upcall-pack-'));
const project = join(folder, 'project');
const installed = join(project, 'node_modules', 'upcall');
after(() => rmSync(folder, { recursive: true }));

interface PackageJson {
  readonly files: readonly string[];
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

before(() => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageJson;
  const staging = join(folder, 'staging');
  mkdirSync(staging);
  cpSync(build, join(staging, 'dist'), { recursive: true });
  const topLevel = manifest.files.filter((file) => !file.startsWith('!') && file !== 'dist');
  for (const file of ['package.json', 'README.md', ...topLevel])
    if (existsSync(join(root, file))) cpSync(join(root, file), join(staging, file), { recursive: true });
  const archive = execFileSync('npm', ['pack', '--silent', '--ignore-scripts'], {
    cwd: staging,
    encoding: 'utf8',
  }).trim();

  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(staging, archive), '-C', installed, '--strip-components=1']);
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    const link = join(project, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
  writeFileSync(join(project, 'package.json'), '{ "type": "module", "private": true }');
});

function node(...args: string[]): Promise<Ended> {
  const { child, ended } = start(process.execPath, args, { cwd: project });
  child.stdin.end();
  return ended;
}

test('the package has what it needs and no tests', () => {
  for (const file of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
    'guests/monitor.bin',
    'examples/machine.js',
  ])
    assert.ok(existsSync(join(installed, file)), file);
  assert.equal(existsSync(join(installed, 'dist/cli/e2e/pack.test.js')), false);
  assert.match(readFileSync(join(installed, 'dist/cli/main.js'), 'utf8'), /^#!\/usr\/bin\/env node\n/);
});

test('its command runs a guest', async () => {
  const { status, stdout, stderr } = await node(
    join(installed, 'dist/cli/main.js'),
    'run',
    '--cmdline',
    'echo hi; poweroff',
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /hi\r\n/);
});

test('an example that was copied out of it runs', async () => {
  cpSync(join(installed, 'examples'), join(project, 'examples'), { recursive: true });
  const { status, stdout, stderr } = await node(join(project, 'examples/device-in-own-thread.js'));
  assert.equal(status, 0, stderr);
  assert.match(stdout, /07/);
});

test('its types hold in a strict project that checks libraries too', async () => {
  writeFileSync(join(project, 'consumer.ts'), CONSUMER);
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        lib: ['es2024'],
        module: 'nodenext',
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
        noEmit: true,
        types: ['node'],
        allowJs: true,
        checkJs: true,
      },
      files: ['consumer.ts', 'examples/machine.js', 'examples/my-device.js', 'examples/io-client.js'],
    }),
  );
  const { status, stdout } = await node(join(root, 'node_modules/typescript/bin/tsc'), '-p', '.');
  assert.equal(status, 0, stdout);
});

const CONSUMER = `
import {
  UpcallError, describeEvent, guestImage, inOwnThread, mmio, ports, ScriptedHypervisor, ServiceVm, standardPc, V86Hypervisor,
  type AccessSize, type AssignedRequest, type Device, type DeviceContext, type Hypervisor, type InterruptLine,
  type IoClient, type PciFunction, type StatisticsSnapshot, type UserVm, type UserVmEvent, type VmEnd,
} from 'upcall';

class Lamp implements Device {
  readonly name = 'lamp';
  readonly #line: InterruptLine;
  #on = 0;
  constructor(context: DeviceContext) { this.#line = context.interruptLine(5); }
  read(offset: number, size: AccessSize): number { return offset + size + this.#on; }
  write(_offset: number, _size: AccessSize, value: number): void { this.#on = value; this.#line.set(value !== 0); }
}
const client: IoClient = { name: 'raw', notify(request: AssignedRequest) { request.finish(request.ticket, 1); } };
const fn: PciFunction = { name: 'fn', readConfig: () => 0, writeConfig: () => undefined };

export async function run(hypervisor: Hypervisor = new V86Hypervisor()): Promise<VmEnd> {
  const serviceVm = new ServiceVm(hypervisor);
  const vm: UserVm = await serviceVm.createUserVm({ name: 'x', memoryMiB: 16, image: guestImage('hello') });
  standardPc(vm, { console: process.stdout });
  vm.attach(ports(0x500, 4), new Lamp(vm));
  vm.attach(mmio(0xd0000000, 0x1000), inOwnThread(new URL('./lamp.js', import.meta.url), { start: 1 }));
  vm.attachPci({ bus: 0, device: 1, function: 0 }, fn);
  vm.createClient(client, [ports(0x600, 1)]);
  vm.onEvent((event: UserVmEvent) => console.log(describeEvent(event)));
  const statistics: StatisticsSnapshot | undefined = vm.statistics();
  console.log(statistics?.requests, new ScriptedHypervisor([]).name);
  try { await vm.start(); } catch (error) { if (error instanceof UpcallError) console.error(error.code, error.remedy); }
  return vm.ended;
}
`;
