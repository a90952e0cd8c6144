/**
 * The examples, run as a user of the installed package runs them. Here `upcall` is this build.
 */

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PageClient } from '../../dashboard/fixtures/page-client.js';
import type { Stops } from '../../dashboard/protocol.js';
import { start, upcall } from './upcall-process.js';

const build = fileURLToPath(new URL('../../', import.meta.url));
const root = fileURLToPath(new URL('../../../', import.meta.url));

const project = mkdtempSync(join(tmpdir(), 'upcall-examples-'));
after(() => rmSync(project, { recursive: true }));
const installed = join(project, 'node_modules', 'upcall');
mkdirSync(installed, { recursive: true });
cpSync(join(root, 'package.json'), join(installed, 'package.json'));
cpSync(join(root, 'examples'), join(project, 'examples'), { recursive: true });
symlinkSync(build, join(installed, 'dist'));

const expected: readonly (readonly [string, RegExp])[] = [
  [
    'explore/main.js',
    /^The mutex as it is: [\d,]+ states, complete\nA woken thread .*stopped\nno thread can move, and these still wait: thread \d\n +thread 0 [\s\S]*sleeps on or wakes by mutex\[0\]/,
  ],
  ['machine.js', /2a\r?\n[\s\S]*after \d+ I\/O requests\n$/],
  ['my-device.js', /07\r?\n[\s\S]*read-counter: 1 read, answered in \d+ microseconds\n$/],
  ['hypervisor/main.js', /^Hello from the toy CPU, version 1\.\r?\n[\s\S]*after \d+ I\/O requests\n$/],
  [
    'test-a-device.js',
    /^alone: the countdown expires after 10 ms\nany guest: it is as its register map says\nfrom a vCPU: status 0x0, beyond the range 0xffffffff\n$/,
  ],
  [
    'test-a-card.js',
    /^alone: the watchdog interrupts 10 ms after the last kick\nfrom a vCPU: status 2, 1, 3; copied 0x12345678\nalone: the screen prints the rows that have changed\n$/,
  ],
  [
    'trace.js',
    /^(?:\d+\.\d{6}\+? ms vCPU 0 .*\n){4}\d+ moves of the UART in hello\.pftrace\nuart16550: \d+ requests, 99 % within \d+ ns\n[\s\S]*upcall_requests_total\{.*\n$/,
  ],
  ['device-in-own-thread.js', /07\r?\n[\s\S]*ended: /],
  [
    'acrn-hsm.js',
    /^Created VM! \[0\]\n(?:[\w ]+! \[0\]\n){4}Guest VM write PIO\[500\] with size\[1\]\nGuest VM read PIO\[500\] with size\[2\]\nDestroy VM! \[0\]\n$/,
  ],
  [
    'io-client.js',
    /^notified: write port 0x510\/1 = 0x41\nfinished.*\nnotified: read port 0x510\/2.*\nfinished: the vCPU reads 0x1234\nthe vCPU read 0x1234 and 0xffffffff\nno client claimed port 0x600: all ones\n$/,
  ],
];

for (const [name, output] of expected) {
  test(`examples/${name} runs and prints the expected output`, async () => {
    const { child, ended } = start(process.execPath, [join('examples', name)], { cwd: project });
    child.stdin.end();
    const { status, stdout, stderr } = await ended;
    assert.equal(status, 0, stderr);
    assert.match(stdout, output);
    assert.equal(stderr, '');
  });
}

test('examples/acrn-hsm.js --page serves the live page, on which each request is stepped', async () => {
  const started = start(process.execPath, [join('examples', 'acrn-hsm.js'), '--page'], {
    cwd: project,
  });
  const { child, ended } = started;
  let stdout = '';
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
  await started.until('Start VM! [0]');
  const { origin, hash } = new URL(/the live page is at (\S+)/.exec(stdout)?.[1] ?? '');
  const page = new PageClient(origin);
  await page.send({ kind: 'hello', token: hash.slice(1) });
  assert.equal((await page.message('welcome')).vm.hypervisor, 'v86');
  await page.send({ kind: 'watch', slots: true, tables: true, moves: {} });
  const nameOf = ({ stops: [stop] }: Pick<Stops, 'stops'>): string | undefined =>
    stop && `${stop.client} ${stop.request.direction} ${stop.at}`;
  const held: string[] = [];
  for (let id = 1; id <= 4; id++) {
    const { stops } = await page.message('stops', (message) => (nameOf(message) ?? held.at(-1)) !== held.at(-1));
    held.push(nameOf({ stops }) ?? '');
    // The first request is answered.
    if (id === 3) await page.message('tables', ({ requests }) => requests === 1);
    await page.send({ kind: 'go', id, vcpu: 0 });
  }
  assert.deepEqual(held, [
    'acrndm write pending',
    'acrndm write complete',
    'acrndm read pending',
    'acrndm read complete',
  ]);
  await page.message('ended');
  const { status, stdout: printed, stderr } = await ended;
  assert.equal(status, 0, stderr);
  assert.match(printed, /Guest VM read PIO\[500\] with size\[2\]\nDestroy VM! \[0\]\n$/);
});

test('the device of the examples runs from the command line', async () => {
  const device = join(project, 'examples', 'devices', 'read-counter.js');
  const { status, stdout } = await upcall([
    ...['run', '--device', `${device}@0x500+4,start=0x40`],
    ...['--cmdline', 'in8 500; in8 500; out8 500 7; in8 500; in8 503; poweroff'],
  ]);
  assert.equal(status, 0);
  const answers = [...stdout.matchAll(/in8 \d+\r\n(?:\S+ = )?(?:0x)?([0-9a-f]{2})\b/g)].map((match) => match[1]);
  assert.deepEqual(answers, ['40', '41', '07', 'ff']);
});

test('the text screen of the examples prints what the guest has written to it', async () => {
  const device = join(project, 'examples', 'devices', 'text-screen.js');
  const { status, stdout, stderr } = await upcall([
    ...['run', 'monitor', '--device', `${device}@mmio:0xa0000-0xbffff`],
    ...['--cmdline', 'wr16 b8000 0748; wr16 b8002 0769; wr32 b80a4 07210721; rd16 b8002; poweroff'],
  ]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /0769/);
  assert.match(stderr, /^ 0: Hi\r\n 1: {3}!!\r\n/m);
});

test('the hypervisor of the examples runs its guest from the command line', async () => {
  const file = join(project, 'examples', 'hypervisor', 'toy-hypervisor.js');
  const guest = join(project, 'examples', 'hypervisor', 'hello.bin');
  const { status, stdout, stderr } = await upcall(['run', guest, '--hypervisor', file]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, 'Hello from the toy CPU, version 1.\r\n');
});

test('the guest of the toy hypervisor is what its program assembles to', async () => {
  const program = join(project, 'examples', 'hypervisor', 'toy-program.js');
  const { assemble, HELLO } = (await import(program)) as {
    assemble: (instructions: unknown) => Uint8Array;
    HELLO: unknown;
  };
  assert.deepEqual(new Uint8Array(readFileSync(join(root, 'examples/hypervisor/hello.bin'))), assemble(HELLO));
});

test('doctor lists the hypervisor of a module', async () => {
  const file = join(project, 'examples', 'hypervisor', 'toy-hypervisor.js');
  const { status, stdout } = await upcall(['doctor', file]);
  assert.equal(status, 0);
  assert.match(
    stdout,
    /toy +runs here +the module .*\n +a CPU of twelve instructions; created a VM with 1 vCPU and ended it\n/,
  );
});

test('the countdown of the examples expires when it is run from the command line', async () => {
  const device = join(project, 'examples', 'devices', 'countdown.js');
  // The timer fires in the next turn of the event loop, which the reads and their output outlast.
  const reads = 80;
  const { status, stdout } = await upcall([
    ...['run', 'monitor', '--device', `${device}@0x500+8,line=5`],
    ...['--cmdline', `out32 500 0; in8 506; ${'in8 504; '.repeat(reads)}poweroff`],
  ]);
  assert.equal(status, 0);
  const answers = [...stdout.matchAll(/in8 \d+\r\n(?:\S+ = )?(?:0x)?([0-9a-f]{2})\b/g)].map((match) => match[1]);
  assert.equal(answers.shift(), 'ff');
  assert.equal(answers.length, reads);
  assert.equal(answers.filter((answer) => answer === '01').length, 1, answers.join(' '));
  assert.equal(answers.at(-1), '00', 'a read clears it');
});
