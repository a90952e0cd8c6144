/**
 * The package as npm packs it, unpacked in an empty project: its command, examples and types.
 * The dependencies are linked from the checkout, so that no network is needed.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
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
const manifest = readManifest(root);
after(() => rmSync(folder, { recursive: true }));

interface PackageJson {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly files: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

before(() => {
  const staging = join(folder, 'staging');
  mkdirSync(staging);
  cpSync(build, join(staging, 'dist'), { recursive: true });
  const topLevel = new Set(manifest.files.map((pattern) => pattern.replace(/^!|\/.*$/g, '')));
  topLevel.delete('dist');
  for (const file of ['package.json', 'README.md', ...topLevel])
    cpSync(join(root, file), join(staging, file), { recursive: true });
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

function readManifest(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageJson;
}

/** The package's files, relative to its folder and with `/`. */
function packedFiles(): string[] {
  const paths = readdirSync(installed, { recursive: true }).map(String);
  return paths.map((path) => path.replaceAll('\\', '/'));
}

test('the package has what its users need', () => {
  const files = packedFiles();
  for (const file of [
    'dist/bundle/index.js',
    'dist/index.d.ts',
    'dist/bundle/upcall.js',
    'guests/monitor.bin',
    'examples/machine.js',
    'docs/write-a-device.md',
    'SECURITY.md',
  ])
    assert.ok(files.includes(file), file);
  assert.match(readFileSync(join(installed, 'dist/bundle/upcall.js'), 'utf8'), /^#!\/usr\/bin\/env node\n/);
});

test('the package has no tests, no code that cannot be imported and no pictures', () => {
  const unwanted = /\.test\.|\.map$|\/(fixtures|e2e|fuzzing|soak)\/|^docs\/.*\.(?!md$)[a-z]+$/;
  // The template of a new device has its test.
  const others = packedFiles().filter((file) => unwanted.test(file) && !file.startsWith('templates/'));
  const ownSuite = /^dist\/conformance\/(?!hypervisor-suite(\/|$))/;
  assert.deepEqual([...others, ...packedFiles().filter((file) => ownSuite.test(file))], []);
});

test('every module that a packed module names is packed', () => {
  const named = /(?:from|import) ?\(?'(\.[^']+)'|new URL\('(\.[^']+\.js)', import\.meta\.url\)/g;
  const missing: string[] = [];
  for (const file of packedFiles().filter((path) => /^dist\/(?!dashboard\/page\/).*\.js$/.test(path)))
    for (const [, imported, url] of withoutComments(file).matchAll(named)) {
      const target = join(installed, dirname(file), imported ?? url ?? '');
      if (!existsSync(target)) missing.push(`${file}: ${imported ?? url ?? ''}`);
    }
  assert.deepEqual(missing, []);
});

function withoutComments(file: string): string {
  return readFileSync(join(installed, file), 'utf8').replace(/^ *(\/\*)?\*.*$/gm, '');
}

// npm counts `prepare` among the install scripts. `prepublish` runs at `npm ci` in a checkout and
// in the clone of a git dependency, and never for a package that is installed.
test('an install of the package runs no script of its own', () => {
  const { scripts } = readManifest(installed);
  for (const event of ['preinstall', 'install', 'postinstall', 'prepare'])
    assert.equal(scripts[event], undefined, event);
});

test('the command of the package runs a guest', async () => {
  const { status, stdout, stderr } = await node(
    join(installed, 'dist/bundle/upcall.js'),
    'run',
    '--cmdline',
    'echo hi; poweroff',
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /hi\r\n/);
});

test('an example that was copied out of the package runs', async () => {
  cpSync(join(installed, 'examples'), join(project, 'examples'), { recursive: true });
  const { status, stdout, stderr } = await node(join(project, 'examples/device-in-own-thread.js'));
  assert.equal(status, 0, stderr);
  assert.match(stdout, /07/);
});

test('a hypervisor that was copied out of the package runs a guest and passes the suite', async () => {
  cpSync(join(installed, 'examples'), join(project, 'examples'), { recursive: true });
  const folder = join(project, 'examples/hypervisor');
  const own = await node(join(folder, 'main.js'));
  assert.equal(own.status, 0, own.stderr);
  assert.match(own.stdout, /^Hello from the toy CPU/);
  const main = join(installed, 'dist/bundle/upcall.js');
  const command = await node(main, 'run', '--hypervisor', join(folder, 'toy-hypervisor.js'), join(folder, 'hello.bin'));
  assert.equal(command.status, 0, command.stderr);
  assert.match(command.stdout, /^Hello from the toy CPU/);
  const suite = await node('--test', '--test-reporter=tap', join(folder, 'conformance.js'));
  assert.equal(suite.status, 0, suite.stdout);
  const counts = /# pass (\d+)\n# fail 0\n# cancelled 0\n# skipped 0\n/.exec(suite.stdout);
  assert.ok(Number(counts?.[1]) > 80, suite.stdout);
});

async function compile(options: object, files: readonly string[]): Promise<void> {
  const compilerOptions = {
    target: 'es2022',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    ...options,
  };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  const { status, stdout } = await node(join(root, 'node_modules/typescript/bin/tsc'), '-p', '.');
  assert.equal(status, 0, stdout);
}

test('the types of the package hold in a strict project that checks libraries, too', async () => {
  writeFileSync(join(project, 'consumer.ts'), CONSUMER);
  await compile({ lib: ['es2024'], module: 'nodenext', types: ['node'], allowJs: true, checkJs: true }, [
    'consumer.ts',
    'examples/machine.js',
    'examples/my-device.js',
    'examples/io-client.js',
  ]);
});

for (const [module, moduleResolution] of [
  ['node16', 'node16'],
  ['esnext', 'bundler'],
])
  test(`the types of every entry need neither the DOM nor Node's (moduleResolution ${moduleResolution ?? ''})`, async () => {
    const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json');
    assert.ok(entries.length >= 2);
    const imports = entries.map((entry, index) => `export * as entry${index} from 'upcall${entry.slice(1)}';\n`);
    writeFileSync(join(project, 'entries.ts'), imports.join(''));
    // The explorer's types name the compiler's, an optional peer dependency.
    const compiler = join(project, 'node_modules/typescript');
    symlinkSync(join(root, 'node_modules/typescript'), compiler);
    try {
      await compile({ lib: ['es2023'], types: [], module, moduleResolution }, ['entries.ts']);
    } finally {
      unlinkSync(compiler);
    }
  });

test('a strict project writes a hypervisor without the types of Node and of the DOM', async () => {
  writeFileSync(join(project, 'hypervisor.ts'), HYPERVISOR);
  await compile({ lib: ['es2024'], module: 'nodenext', types: [] }, ['hypervisor.ts']);
});

test('the explorer without the optional compiler names the command that installs it', async () => {
  const code = `import { loadCompiler } from 'upcall/exploration'; try { await loadCompiler(); } catch (error) { console.log(error.code, error.remedy); }`;
  writeFileSync(join(project, 'explorer.js'), code);
  const { stdout, stderr } = await node('explorer.js');
  assert.equal(stdout.trim(), 'COMPILER_MISSING npm install --save-dev typescript', stderr);
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

const HYPERVISOR = `
import { runHypervisorSuite, x86Guests, type HypervisorUnderTest, type RegisterTest } from 'upcall/conformance';
import {
  GeneralProtection, HALTED_FOREVER, ThreadedVm, TripleFault, VcpuStopped, serveVcpu,
  type Availability, type Hypercalls, type Hypervisor, type InterruptController, type IoHandler, type SharedBuffer,
  type Upcall, type VcpuProgram, type VmConfig, type HypervisorEvent,
} from 'upcall/hypervisor';

class Mine implements Hypervisor {
  readonly name = 'mine';
  available(): Promise<Availability> { return Promise.resolve({ available: true, detail: 'here' }); }
  createVm(config: VmConfig, buffer: SharedBuffer, upcall: Upcall, onEvent: (event: HypervisorEvent) => void): Promise<Hypercalls> {
    const entry = { href: 'file:///thread.js' };
    return ThreadedVm.create({ config, buffer, upcall, onEvent, entry, program: (vcpu) => vcpu });
  }
}
class Program implements VcpuProgram, InterruptController {
  readonly #handler: IoHandler;
  constructor(handler: IoHandler) { this.#handler = handler; }
  start(): void {}
  run(): number {
    try { this.#handler.portWrite(0x80, 1, 1); } catch (error) {
      if (error instanceof VcpuStopped) throw error;
      if (!(error instanceof GeneralProtection)) throw new TripleFault('no gate');
    }
    return HALTED_FOREVER;
  }
  raise(): void {}
  lower(): void {}
}
export const served: Promise<void> = serveVcpu(({ handler }) => ({ program: new Program(handler) }));
const under: HypervisorUnderTest = { name: 'mine', create: () => new Mine(), ...x86Guests };
declare const test: RegisterTest;
runHypervisorSuite(under, test);
`;
