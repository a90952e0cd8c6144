import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../io-request/upcall-error.js';
import { HsmScript } from './hsm-script.js';
import type { ScriptAnswer } from './script-answer.js';

/** Plays the lines and gives the last answer. */
async function play(...lines: string[]): Promise<ScriptAnswer> {
  const script = new HsmScript();
  let last: ScriptAnswer | undefined;
  for (const line of lines) last = (await script.command(line)) ?? last;
  assert.ok(last !== undefined);
  return last;
}

const notifies = (answer: ScriptAnswer): unknown[] =>
  answer.events.flatMap((event) => ('notify' in event ? [event.notify] : []));

test('an access of size 0 ends one byte before it starts, so it is inside a range that ends there', async () => {
  const lines = ['vm 1 1', 'client c', 'add c pio 0x100 0x1ff'];
  assert.equal((await play(...lines, 'put 0 pio r 0x200 0 0', 'upcall')).maps.c, '0x1');
  const outside = await play(...lines, 'put 0 pio r 0x201 0 0', 'upcall');
  assert.equal(outside.maps.c, '0x0');
  assert.deepEqual(outside.events, [{ log: 'no-client' }]);
});

test('size 0 at address 0 ends at the last byte of the address space', async () => {
  const lines = ['vm 1 1', 'client c', 'put 0 mmio r 0 0 0'];
  assert.equal((await play(...lines, 'add c mmio 0 0xfffffffffffffffe', 'upcall')).maps.c, '0x0');
  assert.equal((await play(...lines, 'add c mmio 0 0xffffffffffffffff', 'upcall')).maps.c, '0x1');
});

test('the end of an access wraps around 2^64', async () => {
  const lines = ['vm 1 1', 'client c', 'add c mmio 0x1000 0x1fff'];
  assert.equal((await play(...lines, 'put 0 mmio r 0xfffffffffffffffe 8 0', 'upcall')).maps.c, '0x1');
  assert.equal((await play(...lines, 'put 0 mmio r 0x1000 0xffffffffffffffff 0', 'upcall')).maps.c, '0x1');
  assert.equal((await play(...lines, 'put 0 mmio r 0xff0 0xffffffffffffffff 0', 'upcall')).maps.c, '0x0');
});

test('an access may end below 4 GiB or cross 4 GiB', async () => {
  const below = ['vm 1 1', 'client c', 'add c mmio 0xfffff000 0xffffffff'];
  assert.equal((await play(...below, 'put 0 mmio r 0xfffffffc 4 0', 'upcall')).maps.c, '0x1');
  assert.equal((await play(...below, 'put 0 mmio r 0xfffffffd 4 0', 'upcall')).maps.c, '0x0');
  const across = ['vm 1 1', 'client c', 'add c mmio 0xfffff000 0x100000000'];
  assert.equal((await play(...across, 'put 0 mmio r 0xfffffffd 4 0', 'upcall')).maps.c, '0x1');
  assert.equal((await play(...across, 'put 0 mmio r 0xfffffffe 4 0', 'upcall')).maps.c, '0x0');
});

test('a size of more than 32 bits is compared and shown with all its bits', async () => {
  const answer = await play(
    'vm 1 1',
    'client c',
    'add c mmio 0x1000 0x1fff',
    'put 0 mmio r 0x1000 0x100000001 0',
    'dump',
  );
  assert.equal((answer.slots?.[0] as { size: string }).size, '0x100000001');
});

test('an unserved request ends the pass for its VM only', async () => {
  const answer = await play(
    'vm 1 2',
    'default d',
    'put 1 pio w 1 1 1',
    'vm 2 2',
    'put 0 pio w 1 1 1',
    'upcall',
    'use 1',
  );
  assert.equal(answer.maps.d, '0x2');
});

test("a port's value is cut to 32 bits, and the word behind it in the page stays", async () => {
  const lines = ['vm 1 1', 'client c value 0x1122334455667788', 'add c pio 1 1', 'add c mmio 1 1'];
  const port = await play(...lines, 'put 0 pio r 1 1 0', 'upcall', 'run c', 'hex 0');
  assert.equal(port.hex?.slice(176, 192), '8877665500000000');
  const memory = await play(...lines, 'put 0 mmio r 1 1 0', 'upcall', 'run c', 'hex 0');
  assert.equal(memory.hex?.slice(176, 192), '8877665544332211');
});

test('a port of more than 32 bits is not the PCI address register', async () => {
  const answer = await play('vm 1 1', 'default d', 'put 0 pio w 0x100000cf8 4 0x80000000', 'upcall');
  assert.deepEqual(answer.maps, { d: '0x1' });
  assert.equal(answer.cf8, '0x0');
});

test("a slot beyond the VM's vCPUs is never looked at", async () => {
  const answer = await play('vm 1 2', 'default d', 'put 2 pio w 1 1 1', 'upcall', 'dump 2');
  assert.equal(answer.maps.d, '0x0');
  assert.equal((answer.slots?.[0] as { state: number }).state, 0);
});

test('CLEAR sleeps ten times for a client that does not run, warns, and completes the default client’s requests', async () => {
  const answer = await play(
    'vm 1 2',
    'default d',
    'client c',
    'add c pio 1 1',
    'put 0 pio r 1 1 0',
    'put 1 pio r 2 1 0x77',
    'upcall',
    'clear',
  );
  assert.equal(answer.events.filter((event) => 'sleep' in event).length, 10);
  assert.deepEqual(answer.events.slice(10), [{ log: 'flush-timeout' }, { notify: [1, 1] }]);
  assert.deepEqual(answer.states, [2, 1]);
});

test('CLEAR waits for every client, one sleep when they all run in it', async () => {
  const answer = await play(
    'vm 1 2',
    'client a',
    'add a pio 1 1',
    'client b',
    'add b pio 2 2',
    'put 0 pio r 1 1 0',
    'put 1 pio r 2 1 0',
    'upcall',
    'onsleep run',
    'clear',
  );
  assert.equal(answer.events.filter((event) => 'sleep' in event).length, 1);
  assert.deepEqual(answer.states, [1, 1]);
});

test('a hypercall that fails during CLEAR is logged for each slot and the slots are complete all the same', async () => {
  const answer = await play(
    'vm 1 2',
    'default d',
    'put 0 pio r 1 1 0',
    'put 1 pio r 2 1 0 1',
    'upcall',
    'hcallfail -1',
    'clear',
  );
  assert.deepEqual(answer.events, [{ notify: [1, 0] }, { log: 'notify-failed' }]);
  assert.deepEqual(answer.states, [1, 1]);
});

test('while the flag CLEARING is set, even 0xCF8 is completed unhandled', async () => {
  const answer = await play('vm 1 1', 'clearing 1', 'put 0 pio w 0xcf8 4 0x80000000', 'upcall');
  assert.equal(answer.cf8, '0x0');
  assert.deepEqual(notifies(answer), [[1, 0]]);
});

test('a failed handler keeps its request, and a later run finishes it', async () => {
  const lines = ['vm 1 1', 'client c fail 5', 'add c pio 1 1', 'put 0 pio r 1 1 0', 'upcall', 'run c'];
  assert.deepEqual((await play(...lines)).maps, { c: '0x1' });
  assert.deepEqual((await play(...lines, 'mode c value 0x99', 'run c')).states, [1]);
});

test('ranges added to the default client have no effect', async () => {
  const answer = await play(
    'vm 1 1',
    'default d',
    'client c',
    'add c pio 1 1',
    'add d pio 1 1',
    'put 0 pio r 1 1 0',
    'upcall',
  );
  assert.deepEqual(answer.maps, { d: '0x0', c: '0x1' });
});

test('after the default client is destroyed another can be created', async () => {
  const answer = await play('vm 1 1', 'default d', 'default e', 'destroy d', 'default e');
  assert.equal(answer.ret, 0);
  assert.deepEqual(answer.maps, { e: '0x0' });
});

for (const [line, problem] of [
  ['put 16 pio r 0 1 0', /not from 0 to 15/],
  ['put 0 pio x 0 1 0', /not r or w/],
  ['put 0 pio r 0', /lacks a size/],
  ['put 0 pio r 0x10000000000000000 1 0', /more than 64 bits/],
  ['client c fail', /lacks an errno/],
  ['run absent', /has no client absent/],
  ['vm 1 1', /a VM 1 already/],
  ['vm 2 17', /not from 1 to 16/],
  ['use 9', /no VM 9/],
  ['upcall now', /too much/],
  ['frobnicate', /no command frobnicate/],
] as const) {
  test(`"${line}" is refused with what is wrong`, async () => {
    await assert.rejects(play('vm 1 1', line), (error) => error instanceof UpcallError && problem.test(error.message));
  });
}

test('a script begins with a VM', async () => {
  await assert.rejects(play('upcall'), /the first command of a script is vm, user or an ioctl/);
});
