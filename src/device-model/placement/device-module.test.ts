import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { LineDriver } from '../../hypervisor/interrupt-lines.js';
import { VmSharedState } from '../../hypervisor/vm-shared-state.js';
import { ManualClock } from '../clock.js';
import { DeviceLines } from '../device-lines.js';
import { UNCONNECTED, type Device } from '../device.js';
import { originText } from '../device-origin.js';
import { loadDevice, type DeviceContext } from './device-module.js';

const folder = mkdtempSync(join(tmpdir(), 'device-module-'));
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
after(() => rmSync(folder, { recursive: true, force: true }));

const context: DeviceContext = {
  interruptLine: () => UNCONNECTED,
  memory: new GuestMemory({ buffer: new SharedArrayBuffer(16), byteOffset: 0, byteLength: 16 }),
  clock: new ManualClock(),
};

let count = 0;

/** Writes a module and loads its device, by file URL or by path. */
function load(source: string, extension = 'js', options?: unknown, byPath = false): Promise<Device> {
  const file = join(folder, `device-${++count}.${extension}`);
  writeFileSync(file, source);
  return loadDevice(byPath ? file : pathToFileURL(file).href, context, options);
}

const BODY = `read(offset) { return offset + this.start; } write() {}`;
const CLASS = `class Counter { name = 'counter'; constructor(context, options) { this.context = context; this.start = options; } ${BODY} }`;

describe('a device module', () => {
  test('may export a class as default: it gets the context and the options', async () => {
    const device = await load(`export default ${CLASS}`, 'js', 40);
    assert.deepEqual([device.name, device.read(2, 1)], ['counter', 42]);
    assert.equal((device as unknown as { context: unknown }).context, context);
  });

  test('may export a class or a function as createDevice, which goes before the default', async () => {
    const chosen = await load(`export default 5; ${CLASS} export { Counter as createDevice };`, 'js', 1);
    assert.equal(chosen.read(0, 1), 1);
    const made = await load(
      `export const createDevice = (context, options) => ({ name: 'made', read: () => options.value, write() {} });`,
      'mjs',
      { value: 7 },
    );
    assert.deepEqual([made.name, made.read(0, 1)], ['made', 7]);
  });

  test('may not export a PCI card: a card has no range of its own', async () => {
    await assert.rejects(load(`export default class { name = 'card'; pci = {}; ${BODY} }`), {
      code: 'DEVICE_MODULE_INVALID',
      message: /is a PCI card, .* use attachCard/,
    });
  });

  test('may export a class whose methods are fields', async () => {
    const device = await load(`export default class { name = 'fields'; read = () => 4; write = () => undefined; }`);
    assert.equal(device.read(0, 1), 4);
  });

  test('may create its device asynchronously', async () => {
    const device = await load(`export default async () => ({ name: 'later', read: () => 3, write() {} });`);
    assert.equal(device.read(0, 1), 3);
  });

  test('may be TypeScript, by file URL and by path', async () => {
    const source = `
      interface Options { readonly start: number }
      export default class Typed {
        readonly name: string = 'typed';
        #next: number;
        constructor(_context: unknown, options: Options) { this.#next = options.start; }
        read(): number { return this.#next++; }
        write(_offset: number, _size: number, value: number): void { this.#next = value; }
      }`;
    for (const byPath of [false, true]) {
      const device = await load(source, 'ts', { start: 9 }, byPath);
      assert.deepEqual([device.name, device.read(0, 1), device.read(0, 1)], ['typed', 9, 10]);
    }
  });

  test('is announced when it is loaded, before its device is created, and is the device’s origin', async () => {
    const file = `data:text/javascript,export default class { name = 'x'; constructor(c) { c.created(); } read() {} write() {} }`;
    const steps: string[] = [];
    const device = await loadDevice(
      file,
      { ...context, created: () => steps.push('created') } as DeviceContext,
      undefined,
      () => steps.push('loaded'),
    );
    assert.deepEqual(steps, ['loaded', 'created']);
    assert.equal(originText(device), ` (in ${file})`);
  });

  test('of a file URL has its path as origin, without a query', async () => {
    const file = join(folder, 'a b#.js');
    writeFileSync(file, `export default ${CLASS}`);
    for (const query of ['', '?2', '#x', '?2#x'])
      assert.equal(originText(await loadDevice(`${pathToFileURL(file).href}${query}`, context, 1)), ` (in ${file})`);
  });

  test('may be JavaScript by path', async () => {
    const device = await load(`export default ${CLASS}`, 'js', 1, true);
    assert.equal(device.read(1, 1), 2);
  });
});

describe('a bad device module is refused with its path, what is wrong and what to do', () => {
  const cases: [name: string, source: string, extension: string, message: RegExp][] = [
    ['that exports nothing', 'const device = {};', 'js', /exports no device: it exports nothing,/],
    [
      'that exports a class by another name',
      'export class Disk {}',
      'js',
      /exports only Disk, neither default nor create/,
    ],
    [
      'that exports an object',
      `export default { name: 'x', read() {}, write() {} };`,
      'js',
      /its default is of type object/,
    ],
    ['that does not parse', '\nexport default class {', 'js', /: Unexpected end of input \(at .*device-\d+\.js:\d+\)$/],
    ['that does not parse, in a .mjs file', 'let a;\nlet a;', 'mjs', /: Identifier .* \(at .*device-\d+\.mjs:2\)$/],
    ['that parses bad JSON', `JSON.parse('{');`, 'js', /JSON.* \(at .*device-\d+\.js:1:6\)$/],
    ['that does not parse as TypeScript', 'export default class {', 'ts', /: [^]*device-\d+\.ts:1:\d+/],
    [
      'that throws when it is loaded',
      `throw new Error('no such chip');`,
      'js',
      /no such chip \(at .*device-\d+\.js:1:7\)$/,
    ],
    ['that imports what is not there', `import 'no-such-package-at-all';`, 'js', /no-such-package-at-all/],
    ['whose function throws', `export default () => { throw new Error('bad option'); };`, 'js', /bad option/],
    ['whose function rejects', `export default async () => { throw 'a string'; };`, 'js', /a string/],
    [
      'whose constructor throws',
      `export default class { constructor() { throw new Error('bad option'); } read() {} write() {} }`,
      'js',
      /creating the device failed: bad option \(at .*device-\d+\.js:1:46\)$/,
    ],
    [
      'whose name cannot be read',
      `export default class { get name() { throw new Error('unnamed'); } read() {} write() {} }`,
      'js',
      /reading the device's members failed: unnamed \(at .*device-\d+\.js:1:\d+\)$/,
    ],
    ['whose function returns nothing', 'export default () => {};', 'js', /the device that it created is undefined$/],
    ['whose device cannot be written', `export default () => ({ name: 'x', read: () => 0 });`, 'js', /has no write$/],
    ['whose device cannot be read', `export default class { name = 'x'; write() {} }`, 'js', /has no read$/],
    ['whose device has no name', `export default class { read() {} write() {} }`, 'js', /has no name$/],
    ['whose class has no registers', `export default class { name = 'x'; }`, 'js', /has no read and write$/],
  ];
  for (const [name, source, extension, message] of cases) {
    test(name, async () => {
      await assert.rejects(load(source, extension), (error: Error & { code?: string; remedy?: string }) => {
        assert.equal(error.code, 'DEVICE_MODULE_INVALID');
        assert.match(error.message, message);
        assert.match(error.message, /^device module .*device-\d+\./);
        assert.ok((error.remedy ?? '').length > 20);
        return true;
      });
    });
  }

  test('a syntax error in a file that the module imports has that file and line, and no module was run', async () => {
    writeFileSync(join(folder, 'part.js'), '\n\nexport const part = 1 1;');
    const ran = join(folder, 'ran');
    writeFileSync(
      join(folder, 'first.js'),
      `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(ran)}, '');`,
    );
    await assert.rejects(load(`import './first.js'; import './part.js';`), {
      code: 'DEVICE_MODULE_INVALID',
      message: /: Unexpected number \(at .*part\.js:3\)$/,
    });
    assert.equal(existsSync(ran), false);
  });

  test('that throws something without a remedy, or nothing', async () => {
    for (const thrown of ['null', '({ remedy: 5 })'])
      await assert.rejects(load(`export default () => { throw ${thrown}; };`), {
        code: 'DEVICE_MODULE_INVALID',
        remedy: 'Correct the module, or the options that it was given',
      });
  });

  test('a file that does not exist', async () => {
    await assert.rejects(loadDevice(pathToFileURL(join(folder, 'missing.js')).href, context, undefined), {
      code: 'DEVICE_MODULE_INVALID',
      remedy: 'Check the path and that the file loads by itself',
    });
  });

  test('that asks for a line that does not exist is refused with the lines that do', async () => {
    const outputs = new DeviceLines(new VmSharedState().lines, LineDriver.SERVICE_VM);
    const file = `data:text/javascript,export default (context) => context.interruptLine(99)`;
    await assert.rejects(loadDevice(file, { ...context, interruptLine: (gsi) => outputs.output(gsi) }, undefined), {
      code: 'DEVICE_MODULE_INVALID',
      message: /creating the device failed: interrupt line 99 does not exist/,
      remedy: 'Lines are 0 to 47',
    });
  });
});
