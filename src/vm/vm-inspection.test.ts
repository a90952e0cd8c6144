import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOLD } from '../device-model/placement/fixtures/shown-device.js';
import { inOwnThread } from '../device-model/placement/thread-placement.js';
import { ports } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { SharedWords } from '../sync/shared-words.js';
import { ServiceVm } from './service-vm.js';
import { standardPc } from './standard-pc.js';
import type { UserVm } from './user-vm.js';

const LIMIT = { timeout: 120_000 };
const SHOWN = new URL('../device-model/placement/fixtures/shown-device.js', import.meta.url);
const read = (address: number): ScriptStep => ({ type: 'port', direction: 'read', address, size: 1 });
const write = (address: number): ScriptStep => ({ type: 'port', direction: 'write', address, size: 1, value: 1 });

interface Watched {
  readonly vm: UserVm;
  /** What the guest has read, when it has ended. */
  readonly values: Promise<readonly bigint[]>;
}

async function withVm(steps: readonly ScriptStep[], work: (watched: Watched) => Promise<void>): Promise<void> {
  const hypervisor = new ScriptedHypervisor([{ steps }]);
  const values = hypervisor.results().then((results) => results[0]?.values ?? []);
  const serviceVm = new ServiceVm(hypervisor);
  try {
    await work({ vm: await serviceVm.createUserVm({ memoryMiB: 1 }), values });
  } finally {
    await serviceVm.close();
  }
}

function clientOf(vm: UserVm, name: string): IoClient {
  const client = vm.inspection.clients.find((one) => one.name === name);
  assert.ok(client !== undefined, name);
  return client;
}

async function valuesOf(vm: UserVm, client: IoClient): Promise<readonly (number | undefined)[] | 'no answer'> {
  const { isAnswered, registers } = await vm.inspection.peek(client);
  return isAnswered ? registers.map(({ value }) => value) : 'no answer';
}

test('every device of a PC shows its registers, and so do the functions on its PCI bus', LIMIT, async () => {
  await withVm([], async ({ vm }) => {
    standardPc(vm);
    const { clients } = vm.inspection;
    const without = clients.filter((client) => !vm.inspection.hasRegisters(client));
    // The memory of configuration space shows what the functions show.
    assert.deepEqual(
      without.map(({ name }) => name),
      ['pci-ecam'],
    );
    for (const client of clients.filter((one) => !without.includes(one))) {
      const { isAnswered, registers } = await vm.inspection.peek(client);
      assert.ok(isAnswered && registers.length > 0, client.name);
      for (const { register, value } of registers)
        assert.equal(value === undefined, register.access === 'w', `${client.name} ${register.name}`);
    }
  });
});

test('peeking at a device in a thread of its own does not change what the guest reads', LIMIT, async () => {
  const steps = Array.from({ length: 200 }, () => read(0x500));
  await withVm(steps, async ({ vm, values }) => {
    const { buffer } = new SharedWords(HOLD.WORDS);
    vm.attach(ports(0x500, 3), inOwnThread(SHOWN, { words: buffer }));
    await vm.start();
    const client = clientOf(vm, 'shown');
    const peeked: number[] = [];
    let isOver = false;
    void vm.ended.then(() => (isOver = true));
    while (!isOver) {
      const seen = await valuesOf(vm, client);
      // Once the VM has ended the answer comes at once. The loop must still let the end be
      // reported.
      await new Promise((resolve) => setImmediate(resolve));
      if (seen === 'no answer') continue;
      assert.deepEqual(seen.slice(1), [undefined, undefined], 'one cannot be read, the other cannot be peeked');
      peeked.push(seen[0] ?? NaN);
    }
    const given = (await values).map(Number);
    assert.deepEqual(
      given,
      steps.map((_, i) => (7 - i) & 0xff),
    );
    assert.ok(peeked.length > 0 && peeked.every(Number.isInteger), String(peeked));
  });
});

test(
  'the registers of a device whose thread is blocked are not waited for; it shows them when it goes on',
  LIMIT,
  async () => {
    await withVm([write(0x501), read(0x500)], async ({ vm, values }) => {
      const words = new SharedWords(HOLD.WORDS);
      vm.attach(ports(0x500, 3), inOwnThread(SHOWN, { words: words.buffer }));
      vm.debugger.add({ at: 'complete', address: { from: 0x500, to: 0x500 } });
      await vm.start();
      const client = clientOf(vm, 'shown');
      while (words.load(HOLD.ENTERED) === 0) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(await Promise.all([valuesOf(vm, client), valuesOf(vm, client)]), ['no answer', 'no answer']);
      const { source, registers } = await vm.inspection.peek(client);
      assert.deepEqual([source, registers.length], ['its data sheet', 3], 'what it has is known all the same');
      words.store(HOLD.OPENED, 1);
      // The guest waits at its read, so that the VM is still there.
      const stop = await vm.debugger.stopped();
      // The answer to the first question may still be on its way, from before the read; a slow
      // machine may miss the next.
      let shown = await valuesOf(vm, client);
      while (shown === 'no answer' || shown[0] === 7) shown = await valuesOf(vm, client);
      assert.deepEqual(shown, [6, undefined, undefined]);
      vm.debugger.go(stop?.vcpu ?? 0);
      assert.deepEqual(await values, [7n]);
    });
  },
);
