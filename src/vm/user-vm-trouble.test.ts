import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Device } from '../device-model/device.js';
import { inOwnThread } from '../device-model/placement/thread-placement.js';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import { ports } from '../hsm/address-range.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { Hypervisor } from '../hypervisor/hypervisor.js';
import { ScriptedHypervisor, type Script, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ThreadedVm } from '../hypervisor/threaded-vm.js';
import { GuestMemory } from '../hypervisor/guest-memory.js';
import { VmState } from '../hypervisor/vm-shared-state.js';
import { Deferred } from '../sync/deferred.js';
import { ServiceVm } from './service-vm.js';
import type { UserVmOptions } from './user-vm-options.js';
import type { UserVmEvent } from './user-vm-events.js';
import type { UserVm } from './user-vm.js';

const read: ScriptStep = { type: 'port', direction: 'read', address: 0x500, size: 1 };
const write: ScriptStep = { type: 'port', direction: 'write', address: 0x500, size: 1, value: 1 };
const range = ports(0x500, 1);
const NEVER = new Promise<never>(() => undefined);
const fixture = (name: string): URL => new URL(`../device-model/placement/fixtures/${name}.js`, import.meta.url);

interface Machine {
  readonly hypervisor: ScriptedHypervisor;
  readonly serviceVm: ServiceVm;
  readonly vm: UserVm;
  readonly events: UserVmEvent[];
}

async function machine(script: Script, options: UserVmOptions = {}): Promise<Machine> {
  const hypervisor = new ScriptedHypervisor([script]);
  const serviceVm = new ServiceVm(hypervisor);
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, ...options });
  const events: UserVmEvent[] = [];
  vm.onEvent((event) => events.push(event));
  return { hypervisor, serviceVm, vm, events };
}

function device(parts: Partial<Device>): Device {
  return { name: 'device', read: () => 5, write: () => undefined, ...parts };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

const fail = (message: string): (() => never) => {
  return () => {
    throw new Error(message);
  };
};

describe('a bug in a client, device or listener', { timeout: 120_000 }, () => {
  test('a listener that throws stops neither the worker nor the other listeners; its error is uncaught', async () => {
    const { serviceVm, vm } = await machine({ steps: [read, read] });
    const uncaught: string[] = [];
    const reported: string[] = [];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error.message));
    try {
      vm.onEvent(fail('a bug in the listener'));
      vm.onEvent((event) => reported.push(event.kind));
      vm.createClient({ name: 'broken', notify: fail('a bug in the client') }, [range]);
      await vm.start();
      await vm.ended;
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
    assert.deepEqual(reported, ['client-failed', 'halted', 'ended']);
    assert.deepEqual(new Set(uncaught), new Set(['a bug in the listener']));
    await serviceVm.close();
  });

  test('a device that throws when it is closed keeps neither the VM nor the next device from closing', async () => {
    const { serviceVm, vm, events } = await machine({ steps: [read] });
    let closed = 0;
    vm.attach(range, device({ close: fail('cannot close') }));
    vm.attach(ports(0x600, 1), device({ close: () => closed++ }));
    await vm.start();
    assert.equal((await vm.ended).reason, 'halted');
    assert.equal(closed, 1);
    assert.ok(events.some((event) => event.kind === 'device-error' && event.message === 'cannot close'));
    await serviceVm.close();
  });

  test('a device that throws when it is reset is reported, and the guest restarts nevertheless', async () => {
    const { serviceVm, vm, events } = await machine({ steps: [write, read] });
    let writes = 0;
    vm.attach(
      range,
      device({
        write: () => {
          if (writes++ === 0) vm.power.reset('the test');
        },
        reset: fail('cannot reset'),
      }),
    );
    await vm.start();
    assert.equal((await vm.ended).reason, 'halted');
    assert.equal(writes, 2);
    assert.ok(events.some((event) => event.kind === 'device-error' && event.message === 'cannot reset'));
    await serviceVm.close();
  });

  test('a client that throws when it is removed leaves no vCPU parked and does not stop the end', async () => {
    const { serviceVm, vm, events } = await machine({ steps: [read] });
    let asked = false;
    vm.createClient({ name: 'rude', notify: () => void (asked = true), disconnected: fail('not now') }, [range]);
    await vm.start();
    await until(() => asked);
    await vm.destroy();
    assert.ok(events.some((event) => event.kind === 'client-failed' && event.message === 'not now'));
    await serviceVm.close();
  });
});

describe('a device in a thread of its own', { timeout: 120_000 }, () => {
  test('that is never created does not keep the VM from being destroyed', async () => {
    const { serviceVm, vm } = await machine({ steps: [read] });
    vm.attach(range, inOwnThread(fixture('never-made')));
    const started = assert.rejects(vm.start(), { code: 'VM_STATE' });
    await vm.destroy();
    await started;
    await serviceVm.close();
  });

  test('that is detached is reset before it is closed', async () => {
    const { serviceVm, vm, events } = await machine({ steps: [{ type: 'wait-for-interrupt', line: 3 }] });
    const fails = `reset() { throw new Error('r'); }, close() { throw new Error('c'); }`;
    const module = `export default () => ({ name: 'd', read: () => 0, write() {}, ${fails} });`;
    const detach = vm.attach(range, inOwnThread(new URL(`data:text/javascript,${encodeURIComponent(module)}`)));
    await vm.start();
    detach();
    const calls = (): string[] => events.flatMap((event) => (event.kind === 'device-error' ? [event.during] : []));
    await until(() => calls().includes('close'));
    assert.deepEqual(calls(), ['reset', 'close']);
    await serviceVm.close();
  });

  test('that is never created fails the start at the time limit, which names it; without a limit the start waits', async () => {
    const { serviceVm, vm } = await machine({ steps: [read] }, { startTimeoutMs: 20 });
    const detach = vm.attach(range, inOwnThread(fixture('never-made')));
    await assert.rejects(vm.start(), {
      code: 'DEVICE_MODULE_INVALID',
      message: 'never-made.js: the device was not created within 0.02 s',
      remedy: /createDevice/,
    });
    detach();
    await vm.start();
    await vm.ended;
    const patient = await serviceVm.createUserVm({ memoryMiB: 1, startTimeoutMs: Infinity });
    patient.attach(range, inOwnThread(fixture('read-counter'), { start: 1 }));
    await patient.start();
    for (const startTimeoutMs of [0, -1, NaN])
      await assert.rejects(serviceVm.createUserVm({ startTimeoutMs }), { code: 'OPTION_INVALID' });
    await serviceVm.close();
  });

  test('that cannot be created while the VM runs is reported, its thread ends, and the guest reads all ones', async () => {
    const { hypervisor, serviceVm, vm, events } = await machine(
      { steps: [{ type: 'wait-for-interrupt', line: 3 }, read] },
      { clientTimeoutMs: Infinity },
    );
    const results = hypervisor.results();
    await vm.start();
    vm.attach(range, inOwnThread(fixture('fails-late')));
    await until(() => events.some(({ kind }) => kind === 'device-lost'));
    const lost = events.find((event) => event.kind === 'device-lost');
    assert.match(lost?.reason ?? '', /no such chip/);
    vm.interruptLine(3).set(true);
    assert.deepEqual((await results)[0]?.values, [0xffn]);
    await serviceVm.close();
  });

  test('with options that cannot be copied is refused with its own error, and its range stays free', async () => {
    const { serviceVm, vm } = await machine({ steps: [read] });
    const attach = (): unknown => vm.attach(range, inOwnThread(fixture('read-counter'), { start: () => 1 }));
    assert.throws(attach, { code: 'THREAD_FAILED' });
    assert.throws(attach, { code: 'THREAD_FAILED' }, 'and no overlap with the first try');
    await serviceVm.close();
  });
});

describe('a late device', { timeout: 120_000 }, () => {
  test('can be replaced as soon as it is reported, and is closed', async () => {
    const { hypervisor, serviceVm, vm } = await machine({ steps: [read, read] }, { clientTimeoutMs: 10 });
    const results = hypervisor.results();
    let closed = 0;
    vm.attach(range, device({ name: 'silent', read: () => NEVER, close: () => closed++ }));
    vm.onEvent((event) => {
      if (event.kind === 'client-late') vm.attach(range, device({ name: 'quick' }));
    });
    await vm.start();
    assert.deepEqual((await results)[0]?.values, [0xffn, 5n]);
    assert.equal(closed, 1);
    await serviceVm.close();
  });
});

/** Keeps the hypercalls, to look at a VM's state behind its back. */
function watched(hypervisor: Hypervisor, seen: (hypercalls: Hypercalls) => void): Hypervisor {
  return {
    name: hypervisor.name,
    available: () => hypervisor.available(),
    createVm: async (...parts) => {
      const hypercalls = await hypervisor.createVm(...parts);
      seen(hypercalls);
      return hypercalls;
    },
  };
}

describe('the life cycle', { timeout: 120_000 }, () => {
  test('a VM that is destroyed in the middle of a reset is powered off', async () => {
    let hypercalls: Hypercalls | undefined;
    const scripted = new ScriptedHypervisor([{ steps: [read] }]);
    const serviceVm = new ServiceVm(watched(scripted, (made) => (hypercalls = made)));
    const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
    let held: AssignedRequest | undefined;
    vm.createClient({ name: 'holds its request', notify: (request) => void (held = request) }, [range]);
    await vm.start();
    await until(() => held !== undefined);
    // CLEAR waits 100 ms for the client: the destruction comes in between.
    const reset = vm.reset();
    await until(() => hypercalls?.shared.vmState === VmState.PAUSED);
    await vm.destroy();
    await reset;
    assert.equal(hypercalls?.shared.vmState, VmState.POWERED_OFF);
    await assert.rejects(vm.reset(), { code: 'VM_STATE' });
    await serviceVm.close();
  });

  test('adding a device or a client to a VM that has ended is refused', async () => {
    const { serviceVm, vm } = await machine({ steps: [read] });
    await vm.start();
    await vm.ended;
    const attach = (): unknown => vm.attach(range, inOwnThread(fixture('read-counter'), { start: 1 }));
    assert.throws(attach, { code: 'VM_STATE' });
    assert.throws(attach, { code: 'VM_STATE' }, 'and no overlap with the first try');
    assert.throws(() => vm.createDefaultClient(vm.defaultClient), { code: 'VM_STATE' });
    await serviceVm.close();
  });

  test('a vCPU that halted before the reset which wakes it does not end the VM', async () => {
    const { hypervisor, serviceVm, vm } = await machine({ steps: [read] });
    let plays = 0;
    let lastReset: Promise<void> = Promise.resolve();
    hypervisor.onResult(() => {
      if (++plays < 4) lastReset = vm.reset();
    });
    await vm.start();
    assert.equal((await vm.ended).reason, 'halted');
    await lastReset;
    assert.equal(plays, 4);
    await serviceVm.close();
  });

  test('a vCPU that never stops is ended with its VM', async () => {
    const hanging: Hypervisor = {
      name: 'hanging',
      available: () => Promise.resolve({ available: true, detail: '' }),
      createVm: (config, buffer, upcall, onEvent) =>
        ThreadedVm.create({
          config,
          buffer,
          upcall,
          onEvent,
          entry: new URL('../hypervisor/fixtures/odd-vcpu-thread.js', import.meta.url),
          program: () => 'never returns',
          memory: new GuestMemory({ buffer: new SharedArrayBuffer(4096), byteOffset: 0, byteLength: 4096 }),
        }),
    };
    const serviceVm = new ServiceVm(hanging);
    const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
    await vm.start();
    await vm.destroy();
    assert.equal((await vm.ended).reason, 'destroyed');
    await serviceVm.close();
  });

  test('a Service VM is closed once the VM that was being created is destroyed', async () => {
    const scripted = new ScriptedHypervisor([]);
    const [isCreating, isCreated] = [new Deferred<undefined>(), new Deferred<undefined>()];
    const steps: string[] = [];
    const slow: Hypervisor = {
      name: 'slow',
      available: () => scripted.available(),
      createVm: async (...args) => {
        isCreating.resolve(undefined);
        await isCreated.promise;
        const hypercalls = await scripted.createVm(...args);
        const destroyVm = hypercalls.destroyVm.bind(hypercalls);
        hypercalls.destroyVm = async () => {
          const result = await destroyVm();
          steps.push('destroyed');
          return result;
        };
        return hypercalls;
      },
    };
    const serviceVm = new ServiceVm(slow);
    const refused = assert.rejects(serviceVm.createUserVm({ memoryMiB: 1 }), { code: 'VM_STATE' });
    await isCreating.promise;
    const closed = serviceVm.close().then(() => steps.push('closed'));
    isCreated.resolve(undefined);
    await Promise.all([refused, closed]);
    assert.deepEqual(steps, ['destroyed', 'closed']);
  });

  test('a closed Service VM creates no VM, not even one whose creation was in progress', async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
    const onItsWay = assert.rejects(serviceVm.createUserVm({ memoryMiB: 1 }), { code: 'VM_STATE' });
    await serviceVm.close();
    await onItsWay;
    assert.deepEqual(serviceVm.vms, []);
    await assert.rejects(serviceVm.createUserVm({ memoryMiB: 1 }), { code: 'VM_STATE' });
  });

  test('an invalid time limit is refused; a very long one fires no timer early', async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [read] }]));
    for (const clientTimeoutMs of [NaN, 0, -1])
      await assert.rejects(serviceVm.createUserVm({ clientTimeoutMs }), { code: 'OPTION_INVALID' });
    const warnings: string[] = [];
    const onWarning = (warning: Error): unknown => warnings.push(warning.name);
    process.on('warning', onWarning);
    const vm = await serviceVm.createUserVm({ memoryMiB: 1, clientTimeoutMs: 1e12 });
    let held: AssignedRequest | undefined;
    vm.createClient({ name: 'slow', notify: (request) => void (held = request) }, [range]);
    await vm.start();
    await until(() => held !== undefined);
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([warnings, vm.buffer.slot(0).state], [[], 2]);
    process.off('warning', onWarning);
    await serviceVm.close();
  });
});
