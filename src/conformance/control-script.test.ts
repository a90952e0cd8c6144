import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { HsmScript } from './hsm-script.js';
import type { ScriptAnswer } from './script-answer.js';

async function play(...lines: string[]): Promise<ScriptAnswer[]> {
  const script = new HsmScript();
  const answers: ScriptAnswer[] = [];
  for (const line of lines) {
    const answer = await script.command(line);
    if (answer !== undefined) answers.push(answer);
  }
  return answers;
}

async function last(...lines: string[]): Promise<ScriptAnswer> {
  const answer = (await play(...lines)).at(-1);
  assert.ok(answer !== undefined);
  return answer;
}

test('without a VM a line shows the ID of none, and nothing else', async () => {
  assert.deepEqual(await last('ioctl start-vm'), {
    op: 'ioctl',
    ret: -22,
    events: [],
    vm: 0xffff,
    states: [],
    maps: {},
    cf8: '0x0',
  });
});

test('what the driver copies back is in the answer', async () => {
  const { ret, argument, states } = await last('ioctl create-vm cpu_affinity=0x7');
  assert.equal(ret, 0);
  assert.equal(argument?.slice(0, 16), '0100000003000000');
  assert.equal(states.length, 3);
});

test('every ioctl has its name, and its code does the same', async () => {
  for (const [key, code] of Object.entries(Ioctl)) {
    const name = key.toLowerCase().replaceAll('_', '-');
    const byName = await last('ioctl create-vm', `ioctl ${name}`);
    assert.deepEqual(await last('ioctl create-vm', `ioctl 0x${code.toString(16)}`), byName);
    assert.notEqual(byName.ret, -25, name);
  }
});

test('a request goes the whole way: ioeventfd, ATTACH, the result in the page, NOTIFY', async () => {
  const answers = await play(
    'ioctl create-vm',
    'ioctl create-ioreq-client',
    'ioctl ioeventfd fd=2 flags=1 addr=0x60 len=1',
    'ioctl attach-ioreq-client',
    'put 0 pio w 0x60 1 7',
    'put 1 pio r 0x61 1 0',
    'upcall',
    'value 1 0x5a',
    'ioctl notify-request-finish vcpu=1',
    'hex 1',
  );
  assert.equal(answers[3]?.ret, 'waits');
  assert.deepEqual(answers[6]?.events, [{ notify: [1, 0] }, { signal: 2 }, { attach: 0 }]);
  assert.deepEqual(answers[6].maps, { 'ioeventfd-1': '0x0', acrndm: '0x2' });
  assert.deepEqual(answers[8]?.events, [{ notify: [1, 1] }]);
  assert.equal(answers[9]?.hex?.slice(176, 178), '5a');
});

for (const [how, line] of [
  ['its client is destroyed', 'ioctl destroy-ioreq-client'],
  ['its VM is destroyed', 'ioctl destroy-vm'],
  ['its file is closed', 'user reopen'],
] as const) {
  test(`each ATTACH that waits returns −ENODEV when ${how}`, async () => {
    const attach = 'ioctl attach-ioreq-client';
    const lines = ['ioctl create-vm', 'ioctl create-ioreq-client', attach, attach, 'ioctl pause-vm', line];
    assert.deepEqual((await last(...lines)).events, [{ attach: -19 }, { attach: -19 }]);
    assert.equal((await last(...lines, 'ioctl create-vm', attach)).ret, -19);
  });
}

test('a client that is destroyed has its requests finished, and only then comes the pass', async () => {
  const { events, states } = await last(
    'ioctl create-vm',
    'ioctl create-ioreq-client',
    'put 0 pio r 1 1 0',
    'upcall',
    'put 1 pio r 2 1 0',
    'ioctl destroy-ioreq-client',
  );
  assert.deepEqual(events, [{ notify: [1, 0] }, { log: 'no-client' }]);
  assert.deepEqual(states, [1, 0, 3, 3]);
});

test("the process's own acts on events, and what each is answered", async () => {
  const answers = await play(
    'ioctl create-vm',
    'user signal 0',
    'ioctl irqfd fd=0 msi.msi_addr=0xfee00000 msi.msi_data=0x31',
    'user signal 0',
    'user read 0',
    'user read 0',
    'user close 0',
    'user signal 0',
    'ioctl irqfd fd=0',
  );
  const msi = { msi: ['0xfee00000', '0x31'] };
  assert.deepEqual(
    answers.map(({ ret }) => ret),
    [0, 0, 0, 0, 2, -11, 0, -9, -9],
  );
  assert.deepEqual(answers[2]?.events, [msi]);
  assert.deepEqual(answers[3]?.events, [{ signal: 0 }, msi]);
});

test('CLEAR waits for kernel clients of the script, in its own file as by hand', async () => {
  const lines = ['client c', 'add c pio 0 9', 'put 0 pio r 1 1 0', 'upcall', 'onsleep run'];
  const byIoctl = await last('ioctl create-vm', ...lines, 'ioctl clear-vm-ioreq');
  assert.deepEqual(byIoctl.events, [{ sleep: 10 }, { handle: 'c', vcpu: 0, type: 0 }, { notify: [1, 0] }]);
  assert.deepEqual((await last('vm 1 4', ...lines, 'clear')).events, byIoctl.events);
});

test('what the kernel would copy past the end of a mapping is −EFAULT', async () => {
  for (const address of ['0x20ff8', '0x20ff9', '0x1fff8', '0x11000', '0xffffffffffffffff']) {
    const { ret } = await last('ioctl create-vm', `ioctl notify-request-finish ${address}`);
    assert.equal(ret, address === '0x20ff8' ? 0 : -14, address);
  }
});

test('the 257th memory segment is −ENOMEM, before anybody asks whether it lies in the guest', async () => {
  const segment = 'ioctl set-memseg vma_base=0x100000 len=0x1000';
  const filled = ['ioctl create-vm', ...new Array<string>(256).fill(segment)];
  assert.equal((await last(...filled)).ret, 0);
  assert.equal((await last(...filled, `${segment} user_vm_pa=0x800`)).ret, -12);
  assert.equal((await last(...filled, 'ioctl set-memseg vma_base=0x30000 len=0x1000')).ret, -14);
});

for (const [line, problem] of [
  ['ioctl', /lacks the name of an ioctl/],
  ['ioctl frobnicate', /no ioctl frobnicate/],
  ['ioctl notify-request-finish cpu=1', /struct acrn_ioreq_notify has no field cpu/],
  ['ioctl notify-request-finish reserved=0x10000', /0x10000 does not fit into reserved/],
  ['ioctl notify-request-finish vcpu=-1', /-1 does not fit into vcpu/],
  ['ioctl notify-request-finish vcpu', /"vcpu" is not a number/],
  ['ioctl notify-request-finish vcpu=1 0x10', /"0x10" is not FIELD=VALUE/],
  ['ioctl notify-request-finish 0x10 vcpu=1', /"vcpu=1" is too much/],
  ['ioctl set-vcpu-regs reserved[3]=1', /no field reserved\[3\]/],
  ['ioctl start-vm a=1', /"a=1" is not a number/],
  ['user dance', /not signal or read or close or interrupt or reopen/],
  ['user signal 4', /not from 0 to 3/],
  ['put 0 pio r 0 1 0', /no VM at present/],
  ['vm 1 1', /no VM at present/],
] as const) {
  test(`"${line}" is refused with what is wrong`, async () => {
    const refused = (error: unknown): boolean => error instanceof UpcallError && problem.test(error.message);
    await assert.rejects(play('user interrupt', line), refused);
  });
}

test('a script is of one kind', async () => {
  await assert.rejects(play('vm 1 1', 'ioctl create-vm'), /no command ioctl/);
  await assert.rejects(play('ioctl create-vm', 'vm 1 1'), /no command vm/);
});
