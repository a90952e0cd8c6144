import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device } from '../device-model/device.js';
import { inOwnThread } from '../device-model/placement/thread-placement.js';
import { ports } from '../hsm/address-range.js';
import { ScriptedHypervisor, type Script, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from './service-vm.js';
import type { UserVmOptions } from './user-vm-options.js';
import type { UserVm } from './user-vm.js';

const LIMIT = { timeout: 120_000 };
const looker = new URL('../device-model/placement/fixtures/read-counter.js', import.meta.url);
const read = (address: number): ScriptStep => ({ type: 'port', direction: 'read', address, size: 1 });
const echo: Device = { name: 'echo', read: () => 0x55, write: () => undefined };

interface Machine {
  readonly vm: UserVm;
  readonly values: () => Promise<bigint[][]>;
  readonly close: () => Promise<void>;
}

async function machine(scripts: readonly Script[], options: UserVmOptions = {}): Promise<Machine> {
  const hypervisor = new ScriptedHypervisor(scripts);
  const results = hypervisor.results();
  const serviceVm = new ServiceVm(hypervisor);
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, vcpus: scripts.length, ...options });
  return {
    vm,
    values: async () => (await results).map(({ values }) => [...values]),
    close: () => serviceVm.close(),
  };
}

test('a running VM stops at a port, gets the value from the debugger, and goes on', LIMIT, async () => {
  const { vm, values, close } = await machine([{ steps: [read(0x500), read(0x501)] }, { steps: [read(0x502)] }]);
  vm.attach(ports(0x500, 4), echo);
  vm.debugger.add({ at: 'complete', address: { from: 0x501, to: 0x501 } });
  await vm.start();
  const stop = await vm.debugger.stopped();
  assert.deepEqual([stop?.vcpu, stop?.request.value], [0, 0x55]);
  vm.debugger.change(0, 0x77);
  vm.debugger.go(0);
  await vm.ended;
  assert.deepEqual(await values(), [[0x55n, 0x77n], [0x55n]]);
  await close();
});

for (const faults of [undefined, { seed: 1, rules: [] }])
  test(
    `the answers of a device in a thread of its own are held, too${faults ? ', with faults' : ''}`,
    LIMIT,
    async () => {
      const options = faults === undefined ? {} : { faults };
      const { vm, values, close } = await machine([{ steps: [read(0x500), read(0x500), read(0x500)] }], options);
      vm.attach(ports(0x500, 4), inOwnThread(looker, { start: 7 }));
      vm.debugger.add({ at: 'complete', value: 8 });
      await vm.start();
      const stop = await vm.debugger.stopped();
      assert.deepEqual([stop?.client, stop?.request.value], ['read counter', 8]);
      vm.debugger.change(0, 0x80);
      vm.debugger.detach();
      await vm.ended;
      assert.deepEqual(await values(), [[7n, 0x80n, 9n]]);
      await close();
    },
  );

test('a reset, a pause and the end let held requests go', LIMIT, async () => {
  const { vm, close } = await machine([{ steps: [read(0x500)], repeat: 1000 }]);
  vm.attach(ports(0x500, 4), echo);
  vm.debugger.add({ at: 'pending' });
  await vm.start();
  for (const act of [() => vm.reset(), () => vm.reset(), () => vm.pause()]) {
    assert.equal((await vm.debugger.stopped())?.at, 'pending');
    await act();
  }
  assert.deepEqual(vm.debugger.stops, []);
  await vm.reset();
  vm.debugger.step(((await vm.debugger.stopped()) ?? { vcpu: -1 }).vcpu);
  assert.equal((await vm.debugger.stopped())?.at, 'complete');
  await vm.destroy();
  assert.deepEqual(vm.debugger.stops, []);
  assert.equal(await vm.debugger.stopped(), undefined);
  await close();
});

test('stepping through a device in a thread stops before each of its answers', LIMIT, async () => {
  const { vm, values, close } = await machine([{ steps: [read(0x500), read(0x500)] }]);
  vm.attach(ports(0x500, 4), inOwnThread(looker, { start: 1 }));
  vm.debugger.add({ at: 'pending' });
  await vm.start();
  const seen: unknown[] = [];
  for (let stop = await vm.debugger.stopped(); stop !== undefined; stop = await vm.debugger.stopped()) {
    seen.push([stop.at, stop.at === 'complete' ? stop.request.value : undefined]);
    vm.debugger.step(stop.vcpu);
  }
  assert.deepEqual(seen, [
    ['pending', undefined],
    ['complete', 1],
    ['pending', undefined],
    ['complete', 2],
  ]);
  assert.deepEqual(await values(), [[1n, 2n]]);
  await close();
});

test('a breakpoint on a line holds the request whose device raised it, and then the next one', LIMIT, async () => {
  const { vm, values, close } = await machine([{ steps: [read(0x500), read(0x501), read(0x502), read(0x503)] }]);
  const line = vm.interruptLine(5, { name: 'echo' });
  const later: (() => void)[] = [];
  vm.attach(ports(0x500, 4), {
    name: 'echo',
    read: (offset) => {
      if (offset === 1) line.set(true);
      if (offset === 2) later.push(() => line.set(false));
      return 0x55;
    },
    write: () => undefined,
  });
  vm.debugger.add({ at: 'interrupt', line: 5 });
  vm.debugger.add({ at: 'complete', address: { from: 0x502, to: 0x502 } });
  await vm.start();
  const seen: unknown[] = [];
  for (let stop = await vm.debugger.stopped(); stop !== undefined; stop = await vm.debugger.stopped()) {
    const { at, request, interrupt } = stop;
    seen.push([at, 'address' in request && request.address, interrupt?.interrupt, interrupt?.by]);
    later.pop()?.();
    vm.debugger.go(0);
  }
  assert.deepEqual(seen, [
    ['complete', 0x501, 'raised', 'echo'],
    ['complete', 0x502, undefined, undefined],
    ['pending', 0x503, 'lowered', 'echo'],
  ]);
  assert.deepEqual(await values(), [[0x55n, 0x55n, 0x55n, 0x55n]]);
  await close();
});

test('a line that a device raises in its own thread holds the request that did it', LIMIT, async () => {
  const write: ScriptStep = { type: 'port', direction: 'write', address: 0x503, size: 1, value: 9 };
  const { vm, values, close } = await machine([{ steps: [read(0x500), write, read(0x500)] }]);
  vm.attach(ports(0x500, 4), inOwnThread(looker, { start: 1 }));
  vm.debugger.add({ at: 'interrupt', interrupt: 'raised', by: 'read counter' });
  await vm.start();
  const stop = await vm.debugger.stopped();
  assert.deepEqual([stop?.at, stop?.interrupt?.line, stop?.interrupt?.by], ['complete', 5, 'read counter']);
  vm.debugger.go(0);
  await vm.ended;
  assert.deepEqual((await values())[0]?.at(-1), 9n);
  await close();
});
