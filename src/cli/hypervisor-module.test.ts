import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { chooseHypervisor, moduleChoice } from './hypervisor-choice.js';
import { isModuleName, loadHypervisor, moduleAvailability, withCheckedVms } from './hypervisor-module.js';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { ServiceVm } from '../vm/service-vm.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-hypervisor-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const METHODS = `
  name = 'mine';
  available() { return Promise.resolve({ available: true, detail: 'a test' }); }
  createVm() { return Promise.reject(new Error('no VM')); }`;

test('a hypervisor argument with a dot or a slash is a file, not a name', () => {
  for (const name of ['./kvm', 'a/b', 'mine.js', 'C:\\x', '..']) assert.ok(isModuleName(name), name);
  for (const name of ['v86', 'kvm', '']) assert.ok(!isModuleName(name), name);
});

test('a class, a function, a promise and an object are loaded, from JavaScript and TypeScript', async () => {
  for (const [name, text] of [
    ['class.mjs', `export default class {${METHODS}}`],
    ['function.mjs', `class Mine {${METHODS}} export default () => new Mine();`],
    ['promise.mjs', `class Mine {${METHODS}} export default async () => new Mine();`],
    ['object.mjs', `class Mine {${METHODS}} export default new Mine();`],
    ['typed.ts', `export default class Mine { private readonly x: number = 1;${METHODS}}`],
  ] as const)
    assert.equal((await loadHypervisor(file(name, text))).name, 'mine', name);
});

test('a relative path is from the working directory', async () => {
  const path = file('relative.mjs', `export default class {${METHODS}}`);
  assert.equal((await chooseHypervisor(join('.', relative(process.cwd(), path)))).name, 'mine');
});

for (const [name, text, message] of [
  ['empty.mjs', '', /empty\.mjs has no default export$/],
  ['syntax.mjs', '\nexport default {', /syntax\.mjs cannot be loaded: .* \(at .*syntax\.mjs:\d+\)$/],
  ['import.mjs', "import 'no-such-package';", /import\.mjs cannot be loaded: .*no-such-package/],
  ['number.mjs', 'export default 7;', /its default export is not a hypervisor and does not create one$/],
  ['nothing.mjs', 'export default () => undefined;', /its default export is not a hypervisor and does not create one$/],
  ['other.mjs', 'export default class { name = "x"; available() {} }', /creates a hypervisor without createVm\(\)$/],
  ['nameless.mjs', 'export default { available() {}, createVm() {} };', /creates a hypervisor without a name$/],
  ['mute.mjs', 'export default { name: "x", createVm() {} };', /creates a hypervisor without available\(\)$/],
  [
    'throws.mjs',
    'export default class { constructor() { throw new Error("no chip"); } }',
    /failed: no chip \(at .*throws\.mjs:1:\d+\)$/,
  ],
  ['rejects.mjs', 'export default () => Promise.reject("no chip");', /failed: no chip$/],
] as const)
  test(`${name} is refused with the reason`, async () => {
    await assert.rejects(loadHypervisor(file(name, text)), { code: 'HYPERVISOR_MODULE_INVALID', message });
  });

test('a file that does not exist is refused with its name', async () => {
  await assert.rejects(chooseHypervisor('./no-such.js'), {
    code: 'HYPERVISOR_MODULE_INVALID',
    message: 'there is no hypervisor module ./no-such.js',
  });
});

test('a module that does not run here has a reason, and one without an answer is refused', async () => {
  const choose = (name: string, body: string) =>
    chooseHypervisor(file(name, `export default { name: 'x', available: async () => ${body}, createVm() {} };`));
  await assert.rejects(choose('absent.mjs', "({ available: false, reason: 'no chip', remedy: 'Buy one' })"), {
    code: 'HYPERVISOR_UNAVAILABLE',
    message: /absent\.mjs cannot be used: no chip/,
    remedy: 'Buy one',
  });
  await assert.rejects(choose('vague.mjs', 'undefined'), {
    message: /available\(\) resolved to a value without a boolean "available"/,
  });
  await assert.rejects(choose('fails.mjs', '{ throw new Error("bad bus"); }'), {
    message: /available\(\) failed: bad bus \(at .*fails\.mjs:1:\d+\)$/,
  });
});

test('doctor’s choice of a module has its name and file', async () => {
  const path = file('listed.mjs', `export default class {${METHODS}}`);
  const choice = await moduleChoice(path);
  assert.deepEqual([choice.name, choice.about], ['mine', `the module ${path}`]);
});

const NEVER = 'new Promise(() => undefined)';

test('a module that never answers is refused after a time limit that names the call', async () => {
  const made = file('never-made.mjs', `export default () => ${NEVER};`);
  // It is loaded from now on, which takes no time that the limit could hit.
  await import(pathToFileURL(made).href);
  for (const [path, call] of [
    [file('never-loads.mjs', `await ${NEVER};`), 'loading it'],
    [made, 'creating the hypervisor'],
  ] as const)
    await assert.rejects(loadHypervisor(path, 20), {
      code: 'HYPERVISOR_MODULE_INVALID',
      message: `hypervisor module ${path}: ${call} did not end within 0.02 s`,
    });
  const hypervisor = await loadHypervisor(
    file('never.mjs', `export default { name: 'x', available: () => ${NEVER}, createVm: () => ${NEVER} };`),
  );
  await assert.rejects(moduleAvailability('x.mjs', hypervisor, 20), { message: /available\(\) did not end/ });
  await assert.rejects(new ServiceVm(withCheckedVms('x.mjs', hypervisor, 20)).createUserVm(), {
    message: 'hypervisor module x.mjs: createVm() did not end within 0.02 s',
    remedy: /createVm resolves when the vCPUs are parked/,
  });
});

for (const [body, message] of [
  ['{ throw new Error("no room"); }', /: createVm\(\) failed: no room \(at .*\.mjs:\d+:\d+\)$/],
  ['{}', /: createVm\(\) resolved to undefined$/],
  ['{ return null; }', /: createVm\(\) resolved to null$/],
  ['{ return { setIoreqBuffer() {} }; }', /: createVm\(\) resolved to an object without notifyRequestFinish\(\)$/],
] as const)
  test(`a createVm that does ${body} is the module’s error, for run and for doctor`, async () => {
    const path = file(`vm-${body.length}.mjs`, `export default class {${METHODS} async createVm() ${body} }`);
    const serviceVm = new ServiceVm(await chooseHypervisor(path));
    await assert.rejects(serviceVm.createUserVm(), {
      code: 'HYPERVISOR_MODULE_INVALID',
      message,
      remedy: /write-a-hypervisor/,
    });
    await serviceVm.close();
  });

test('an UpcallError of createVm stays as it is, and a VM is passed on', async () => {
  const refusing = withCheckedVms('x.mjs', {
    name: 'x',
    available: () => Promise.reject(new Error('unused')),
    createVm: () => Promise.reject(new UpcallError('VM_LIMIT', 'one vCPU only')),
  });
  await assert.rejects(new ServiceVm(refusing).createUserVm(), { code: 'VM_LIMIT', message: 'one vCPU only' });
  const serviceVm = new ServiceVm(withCheckedVms('x.mjs', new ScriptedHypervisor([{ steps: [] }])));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  await vm.start();
  assert.equal((await vm.ended).reason, 'halted');
  await serviceVm.close();
});

test('a hypervisor keeps its stateVersion, without which its VMs cannot be saved', async () => {
  const path = file(
    'saving.mjs',
    `export default class {${METHODS} async stateVersion() { return this.name + ' 1'; } }`,
  );
  assert.equal(await (await chooseHypervisor(path)).stateVersion?.(), 'mine 1');
  assert.ok(!('stateVersion' in (await chooseHypervisor(file('unsaved.mjs', `export default class {${METHODS}}`)))));
  for (const [body, message] of [
    ['{ throw new Error("no form"); }', /: stateVersion\(\) failed: no form \(at .*\.mjs:\d+:\d+\)$/],
    ['{ return 7; }', /: stateVersion\(\) resolved to number$/],
    [`{ return ${NEVER}; }`, /: stateVersion\(\) did not end within 0\.02 s$/],
  ] as const) {
    const module = await loadHypervisor(
      file(`v${body.length}.mjs`, `export default class {${METHODS} async stateVersion() ${body} }`),
    );
    await assert.rejects(async () => withCheckedVms('x.mjs', module, 20).stateVersion?.(), {
      code: 'HYPERVISOR_MODULE_INVALID',
      message,
    });
  }
});
