import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startCounting } from '../vm/snapshot/fixtures/counting-guest.js';
import { readSnapshot } from '../vm/snapshot/snapshot.js';
import type { UserVm } from '../vm/user-vm.js';
import { Reporter } from './reporter.js';
import { savedConsole, SessionSave, type SavePlan } from './session-save.js';

function made(vm: UserVm | undefined, plan: SavePlan | undefined): { saving: SessionSave; lines: () => string } {
  let lines = '';
  const reporter = new Reporter({ write: (text: string) => (lines += text) });
  return { saving: new SessionSave(vm as UserVm, plan, reporter), lines: () => lines };
}

const text = (line: string): Uint8Array => Buffer.from(line, 'latin1');

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'upcall-save-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('the text of --save-after saves once, also in two parts, with the last of the console', async (t) => {
  const file = join(folder(t), 'vm.snap');
  const { serviceVm, vm } = await startCounting();
  let saves = 0;
  const onSaved = (): Promise<void> => {
    saves++;
    return Promise.resolve();
  };
  const { saving, lines } = made(vm, { file, after: 'login:', onSaved });
  saving.scan(text(`${'x'.repeat(5000)}\r\nlog`));
  await saving.settled();
  assert.equal(saves, 0);
  saving.scan(text('in: '));
  await saving.settled();
  saving.scan(text('login: '));
  await saving.settled();
  assert.equal(saves, 1);
  assert.match(lines(), /^upcall: saved to .*vm\.snap: \d+ KiB in \d+\.\d s\n$/);
  const console = Buffer.from(savedConsole(await readSnapshot(file))).toString('latin1');
  assert.equal(console.length, 4096);
  assert.ok(console.endsWith('x\r\nlogin: '));
  // The key saves again each time.
  saving.request();
  await saving.settled();
  assert.equal(saves, 2);
  await serviceVm.close();
});

test('a guest asks for it by a code at the POST port, and a quiet save reports nothing', async (t) => {
  const path = folder(t);
  const { serviceVm, vm } = await startCounting();
  const { saving, lines } = made(vm, { file: join(path, 'vm.snap'), postCode: 0x5a, isQuiet: true });
  saving.postCode(0x59);
  saving.postCode(0x5a);
  await saving.settled();
  assert.ok((await readSnapshot(join(path, 'vm.snap'))).parts.memoryBytes > 0);
  const failing = made(vm, { file: join(path, 'none', 'vm.snap'), postCode: 1, isQuiet: true });
  failing.saving.postCode(1);
  await failing.saving.settled();
  assert.equal(lines() + failing.lines(), '');
  await serviceVm.close();
});

test('what the guest prints between the request and the hold is saved, too', async (t) => {
  const file = join(folder(t), 'vm.snap');
  const { serviceVm, vm } = await startCounting();
  const { saving } = made(vm, { file });
  saving.scan(text('login:'));
  saving.request();
  saving.scan(text(' and more'));
  await saving.settled();
  assert.equal(Buffer.from(savedConsole(await readSnapshot(file))).toString('latin1'), 'login: and more');
  await serviceVm.close();
});

test('the exit status says whether the last save failed, and whether the text came', async (t) => {
  const path = folder(t);
  const { serviceVm, vm } = await startCounting();
  const plan = { file: join(path, 'none', 'vm.snap'), after: 'login:' };
  const { saving, lines } = made(vm, plan);
  assert.equal(saving.statusOf(0), 3);
  assert.equal(saving.statusOf(143), 143);
  assert.match(lines(), /"login:" did not appear on the console: nothing was saved to .*vm\.snap/);
  saving.scan(text('login:'));
  await saving.settled();
  assert.equal(saving.statusOf(0), 1);
  assert.equal(saving.statusOf(3), 3);
  mkdirSync(join(path, 'none'));
  saving.request();
  await saving.settled();
  assert.equal(saving.statusOf(0), 0);
  await serviceVm.close();
});

test('without --save the key says what to do, and a save that fails says why', async (t) => {
  const none = made(undefined, undefined);
  none.saving.scan(text('login:'));
  none.saving.request();
  assert.match(none.lines(), /start with --save FILE/);
  const { serviceVm, vm } = await startCounting();
  await serviceVm.close();
  const ended = made(vm, { file: join(folder(t), 'vm.snap') });
  ended.saving.request();
  await ended.saving.settled();
  assert.match(ended.lines(), /cannot be saved: it does not run/);
});
