import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device } from '../device-model/device.js';
import { inOwnThread } from '../device-model/placement/thread-placement.js';
import { mmio, ports } from '../hsm/address-range.js';
import { ScriptedHypervisor, type Script, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from './service-vm.js';
import type { UserVmOptions } from './user-vm-options.js';
import { describeMove } from '../trace/move.js';
import type { UserVmEvent } from './user-vm-events.js';
import type { UserVm } from './user-vm.js';

const read = (address: number, size: 1 | 2 | 4 = 1): ScriptStep => ({ type: 'port', direction: 'read', address, size });
const write = (address: number, value: number, size: 1 | 2 | 4 = 1): ScriptStep => ({
  type: 'port',
  direction: 'write',
  address,
  size,
  value,
});

/** A device whose registers are what was written to them. */
class Memory implements Device {
  readonly name = 'memory';
  readonly cells = new Map<string, number>();
  read(offset: number, size: number): number {
    return this.cells.get(`${offset}/${size}`) ?? 0;
  }
  write(offset: number, size: number, value: number): void {
    this.cells.set(`${offset}/${size}`, value);
  }
}

interface Run {
  readonly vm: UserVm;
  readonly events: UserVmEvent[];
  readonly values: bigint[][];
}

/** Plays scripts on a VM that `prepare` has furnished, to the end. */
async function play(
  scripts: readonly Script[],
  prepare: (vm: UserVm) => void,
  options: UserVmOptions = {},
): Promise<Run> {
  const hypervisor = new ScriptedHypervisor(scripts);
  const serviceVm = new ServiceVm(hypervisor);
  const results = hypervisor.results();
  const vm = await serviceVm.createUserVm({
    memoryMiB: 1,
    vcpus: scripts.length,
    // A slow machine is no late client.
    clientTimeoutMs: 60_000,
    startTimeoutMs: 60_000,
    ...options,
  });
  const events: UserVmEvent[] = [];
  vm.onEvent((event) => events.push(event));
  prepare(vm);
  await vm.start();
  await vm.ended;
  const values = (await results).map((result) => [...result.values]);
  await serviceVm.close();
  return { vm, events, values };
}

test('an access travels through the page to the device that claims it, and its value back', async () => {
  const device = new Memory();
  const { values, vm } = await play(
    [{ steps: [write(0x500, 0x41), write(0x502, 0x1234, 2), read(0x500), read(0x502, 2), read(0x600, 4)] }],
    (made) => void made.attach(ports(0x500, 4), device),
  );
  assert.deepEqual(values, [[0x41n, 0x1234n, 0xffff_ffffn]]);
  assert.deepEqual(
    [...device.cells],
    [
      ['0/1', 0x41],
      ['2/2', 0x1234],
    ],
  );
  assert.deepEqual([...vm.defaultClient.unclaimed], [['port 0x600', 1]]);
  assert.equal(vm.counters().requests, 5);
  assert.equal(vm.counters().portAccesses, 5);
});

test('with completion polling the values are the same', async () => {
  const { values } = await play(
    [{ steps: [write(0x500, 0x41), read(0x500)] }],
    (vm) => void vm.attach(ports(0x500, 4), new Memory()),
    { completionPolling: true },
  );
  assert.deepEqual(values, [[0x41n]]);
});

test('an 8-byte MMIO access is two 4-byte accesses for the device, low half first', async () => {
  const seen: string[] = [];
  const device: Device = {
    name: 'wide',
    read: (offset) => (offset === 8 ? 0x1111_1111 : 0xeeee_eeee),
    write: (offset, size, value) => void seen.push(`${offset}/${size}=${value.toString(16)}`),
  };
  const address = 0xd000_0008;
  const { values } = await play(
    [
      {
        steps: [
          { type: 'mmio', direction: 'write', address, size: 8, value: 0x8877_6655_4433_2211n },
          { type: 'mmio', direction: 'read', address, size: 8 },
        ],
      },
    ],
    (vm) => void vm.attach(mmio(0xd000_0000, 0x1000), device),
  );
  assert.deepEqual(seen, ['8/4=44332211', 'c/4=88776655'.replace('c', '12')]);
  assert.deepEqual(values, [[0xeeee_eeee_1111_1111n]]);
});

test('sixteen vCPUs each get their own answers', async () => {
  const vcpus = 16;
  const rounds = 200;
  const device: Device = { name: 'echo', read: (offset) => offset + 1, write: () => undefined };
  const scripts = Array.from({ length: vcpus }, (_, vcpu) => ({ steps: [read(0x700 + vcpu)], repeat: rounds }));
  const { values, vm } = await play(scripts, (made) => void made.attach(ports(0x700, vcpus), device));
  assert.deepEqual(
    values,
    scripts.map((_, vcpu) => [BigInt(vcpu + 1)]),
  );
  assert.equal(vm.counters().requests, vcpus * rounds);
});

test('a device may answer by a promise', async () => {
  const device: Device = {
    name: 'later',
    read: (offset) => new Promise((resolve) => setImmediate(() => resolve(offset + 0x10))),
    write: () => Promise.resolve(),
  };
  const { values } = await play(
    [{ steps: [read(0x501), write(0x500, 1), read(0x503)] }],
    (vm) => void vm.attach(ports(0x500, 4), device),
  );
  assert.deepEqual(values, [[0x11n, 0x13n]]);
});

test('a device that throws or rejects costs the guest all ones and the operator an event, and nothing else', async () => {
  const device: Device = {
    name: 'broken',
    read: (offset) => {
      if (offset === 0) throw new Error('bug one');
      return offset === 1 ? Promise.reject(new Error('bug two')) : 7;
    },
    write: () => undefined,
  };
  const { values, events } = await play(
    [{ steps: [read(0x500), read(0x501, 2), read(0x503)] }],
    (vm) => void vm.attach(ports(0x500, 4), device),
  );
  assert.deepEqual(values, [[0xffn, 0xffffn, 7n]]);
  assert.deepEqual(
    events.flatMap((event) => (event.kind === 'device-error' ? [`${event.device}: ${event.message}`] : [])),
    ['broken: bug one', 'broken: bug two'],
  );
});

test('a device that overruns its time loses its request and its range, and the guest goes on', async () => {
  const device: Device = { name: 'stuck', read: () => new Promise(() => undefined), write: () => undefined };
  const { values, events } = await play(
    [{ steps: [read(0x500), read(0x500), read(0x501)] }],
    (vm) => void vm.attach(ports(0x500, 4), device),
    { clientTimeoutMs: 30 },
  );
  assert.deepEqual(values, [[0xffn, 0xffn, 0xffn]]);
  const late = events.filter((event) => event.kind === 'client-late');
  assert.equal(late.length, 1);
  assert.equal(late[0]?.limitMs, 30);
  assert.equal(late[0].client, 'stuck');
  assert.equal(late[0].request, 'read port 0x500/1');
});

test('an I/O client that throws is removed, and its range falls to the default client', async () => {
  const { values, events, vm } = await play([{ steps: [read(0x500), read(0x500)] }], (made) =>
    made.createClient(
      {
        name: 'raw',
        notify: () => {
          throw new Error('client bug');
        },
      },
      [ports(0x500, 1)],
    ),
  );
  assert.deepEqual(values, [[0xffn, 0xffn]]);
  assert.equal(events.filter((event) => event.kind === 'client-failed').length, 1);
  assert.deepEqual([...vm.defaultClient.unclaimed], [['port 0x500', 1]]);
});

test('a client may be destroyed while it holds a request: the vCPU reads all ones', async () => {
  const { values } = await play([{ steps: [read(0x500), read(0x501)] }], (vm) => {
    const client = {
      name: 'holder',
      notify: () => void setImmediate(() => vm.destroyClient(client)),
    };
    vm.createClient(client, [ports(0x500, 1)]);
  });
  assert.deepEqual(values, [[0xffn, 0xffn]]);
});

test('two attached devices may not overlap, and the error names both', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  vm.attach(ports(0x500, 4), new Memory());
  assert.throws(() => vm.attach(ports(0x503, 2), { name: 'second', read: () => 0, write: () => undefined }), {
    code: 'RANGE_OVERLAP',
    message: 'second at ports 0x503…0x504 overlaps memory at ports 0x500…0x503',
  });
  await serviceVm.close();
});

const counterModule = new URL('../device-model/placement/fixtures/read-counter.js', import.meta.url);

test('the same device runs unchanged in a thread of its own', async () => {
  const { values } = await play(
    [{ steps: [read(0x500), read(0x500), write(0x500, 40), read(0x500)] }],
    (vm) => void vm.attach(ports(0x500, 4), inOwnThread(counterModule, { start: 7 })),
  );
  assert.deepEqual(values, [[7n, 8n, 40n]]);
});

test('a device thread that dies leaves no vCPU parked, and its range is free again', async () => {
  const { values, events } = await play(
    [{ steps: [read(0x500), write(0x501, 1), read(0x500)] }],
    (vm) => void vm.attach(ports(0x500, 4), inOwnThread(counterModule, { start: 7 })),
  );
  assert.deepEqual(values, [[7n, 0xffn]]);
  assert.equal(events.filter((event) => event.kind === 'device-lost').length, 1);
});

test('a device thread that hangs is ended when its time is over', async () => {
  const { values, events } = await play(
    [{ steps: [read(0x500), write(0x502, 1), read(0x500)] }],
    (vm) => void vm.attach(ports(0x500, 4), inOwnThread(counterModule, { start: 7 })),
    { clientTimeoutMs: 100 },
  );
  assert.deepEqual(values, [[7n, 0xffn]]);
  assert.equal(events.filter((event) => event.kind === 'client-late').length, 1);
});

test('start rejects with the error of a device module', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  vm.attach(ports(0x500, 4), inOwnThread(new URL('../no-such-device.js', import.meta.url)));
  await assert.rejects(vm.start(), { code: 'DEVICE_MODULE_INVALID' });
  await serviceVm.close();
});

test('a reset during a request starts the guest from its beginning, and the late answer is dropped', async () => {
  let asked = 0;
  let answerFirst: (value: number) => void = () => undefined;
  const device: Device = {
    name: 'slow once',
    read: () => {
      if (++asked > 1) return 5;
      return new Promise((resolve) => (answerFirst = resolve));
    },
    write: () => undefined,
  };
  const hypervisor = new ScriptedHypervisor([{ steps: [read(0x500), read(0x501)] }]);
  const serviceVm = new ServiceVm(hypervisor);
  const results = hypervisor.results();
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  vm.attach(ports(0x500, 4), device);
  await vm.start();
  while (asked === 0) await new Promise((resolve) => setImmediate(resolve));
  await vm.reset();
  answerFirst(99);
  assert.deepEqual((await results)[0]?.values, [5n, 5n]);
  await serviceVm.close();
});

test('destroying a VM whose vCPU waits for an answer that never comes ends at once', async () => {
  let asked = false;
  const device: Device = {
    name: 'silent',
    read: () => {
      asked = true;
      return new Promise(() => undefined);
    },
    write: () => undefined,
  };
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [read(0x500)] }]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, clientTimeoutMs: Infinity });
  vm.attach(ports(0x500, 4), device);
  await vm.start();
  while (!asked) await new Promise((resolve) => setImmediate(resolve));
  await vm.destroy();
  assert.equal((await vm.ended).reason, 'destroyed');
  await serviceVm.close();
});

test('an interrupt line raised by a device wakes a vCPU that waits for it', async () => {
  const { values } = await play(
    [{ steps: [write(0x500, 1), { type: 'wait-for-interrupt', line: 5 }, read(0x500)] }],
    (vm) => {
      const line = vm.interruptLine(5);
      vm.attach(ports(0x500, 1), {
        name: 'bell',
        read: () => 9,
        write: () => void setTimeout(() => line.set(true), 5),
      });
    },
  );
  assert.deepEqual(values, [[9n]]);
});

test('a device that is removed is reset first, so that its interrupt line is low, and closed', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
  const vm = await serviceVm.createUserVm({});
  const line = vm.interruptLine(5);
  const calls: string[] = [];
  const remove = vm.attach(ports(0x500, 1), {
    name: 'bell',
    read: () => 9,
    write: () => undefined,
    reset: () => {
      calls.push('reset');
      line.set(false);
      throw new Error('a reset that fails does not keep it from being closed');
    },
    close: () => void calls.push('close'),
  });
  line.set(true);
  assert.equal(vm.hypercalls.shared.lines.level(5), true);
  remove();
  assert.equal(vm.hypercalls.shared.lines.level(5), false);
  assert.deepEqual(calls, ['reset', 'close']);
  await serviceVm.close();
});

test('interrupt lines of one number are wired-OR, and a number that does not exist is refused', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
  const vm = await serviceVm.createUserVm({});
  const [first, second] = [vm.interruptLine(47), vm.interruptLine(47)];
  first.set(true);
  second.set(true);
  first.set(false);
  assert.equal(vm.hypercalls.shared.lines.level(47), true);
  assert.throws(() => vm.interruptLine(99), { code: 'LINE_INVALID', message: 'interrupt line 99 does not exist' });
  await serviceVm.close();
});

test('statistics count requests by type, client and address with their latency', async () => {
  const { vm } = await play(
    [{ steps: [write(0x500, 1), read(0x500), read(0x600)] }],
    (made) => void made.attach(ports(0x500, 4), new Memory()),
    { statistics: true },
  );
  const snapshot = vm.statistics();
  assert.equal(snapshot?.requests, 3);
  assert.deepEqual(
    snapshot.clients.map(({ name, reads, writes }) => ({ name, reads, writes })),
    [
      { name: 'memory', reads: 1, writes: 1 },
      { name: 'default', reads: 1, writes: 0 },
    ],
  );
  const [type] = snapshot.types;
  for (const stage of ['wait', 'work', 'wake', 'total'] as const) assert.equal(type?.stages[stage].count, 3, stage);
  assert.ok((type?.stages.total.sumNs ?? 0) > 0);
  assert.deepEqual(
    snapshot.ranges.map(({ name }) => name),
    ['memory: port 0x500…0x503', 'default: port'],
  );
  assert.deepEqual(
    snapshot.unclaimed.map(({ name, reads }) => [name, reads]),
    [['port 0x600', 1]],
  );
});

test('the range of a removed device is free for another one', async () => {
  const { values } = await play(
    [{ steps: [read(0x500), read(0x501), read(0x500)] }],
    (vm) => {
      vm.attach(ports(0x500, 1), { name: 'stuck', read: () => new Promise(() => undefined), write: () => undefined });
      vm.attach(ports(0x501, 1), {
        name: 'replacer',
        read: () => {
          vm.attach(ports(0x500, 1), { name: 'second', read: () => 2, write: () => undefined });
          return 1;
        },
        write: () => undefined,
      });
    },
    { clientTimeoutMs: 30 },
  );
  assert.deepEqual(values, [[0xffn, 1n, 2n]]);
});

test('a write to write-protected RAM is a request of its own type, which only the default client gets', async () => {
  const { vm } = await play(
    [{ steps: [{ type: 'write-protect', direction: 'write', address: 0x1000, size: 4, value: 1 }] }],
    (made) => void made.attach(mmio(0x1000, 0x1000), new Memory()),
  );
  assert.deepEqual([...vm.defaultClient.unclaimed], [['write-protect 0x1000', 1]]);
});

test("with PCI interception the hypervisor answers what ACRN's answers, and the counts say so", async () => {
  const { values, vm } = await play(
    [{ steps: [write(0xcf8, 0x8000_0000, 4), read(0xcf8, 4), read(0xcfc, 4), read(0xcfc, 4)] }],
    (made) =>
      made.attachPci(
        { bus: 0, device: 0, function: 0 },
        { name: 'function', readConfig: () => 0x1234_5678, writeConfig: () => undefined },
      ),
    { interceptPci: true },
  );
  assert.deepEqual(values, [[0x8000_0000n, 0x1234_5678n, 0xffff_ffffn]]);
  assert.equal(vm.counters().answeredByHypervisor, 2);
  assert.equal(vm.counters().requests, 2);
});

test('a trace shows the four moves of each request with its client, and ends with the VM', async () => {
  const lines: string[] = [];
  let watching: Promise<void> = Promise.resolve();
  await play([{ steps: [write(0x500, 0x41), read(0xcf8, 4), read(0x600, 2)] }], (vm) => {
    vm.attach(ports(0x500, 4), new Memory());
    const trace = vm.trace();
    watching = (async () => {
      for await (const move of trace) lines.push(describeMove(move).replace(/^[\d.]+ ms /, ''));
    })();
  });
  await watching;
  assert.deepEqual(lines, [
    'vCPU 0 FREE → PENDING: write port 0x500/1 = 0x41',
    'vCPU 0 PENDING → PROCESSING, memory: write port 0x500/1 = 0x41',
    'vCPU 0 PROCESSING → COMPLETE, memory: write port 0x500/1 = 0x41',
    'vCPU 0 COMPLETE → FREE, memory: write port 0x500/1 = 0x41',
    'vCPU 0 FREE → PENDING: read port 0xcf8/4',
    'vCPU 0 PENDING → COMPLETE: read port 0xcf8/4 = 0x0',
    'vCPU 0 COMPLETE → FREE: read port 0xcf8/4 = 0x0',
    'vCPU 0 FREE → PENDING: read port 0x600/2',
    'vCPU 0 PENDING → PROCESSING, default: read port 0x600/2',
    'vCPU 0 PROCESSING → COMPLETE, default: read port 0x600/2 = 0xffffffff',
    'vCPU 0 COMPLETE → FREE, default: read port 0x600/2 = 0xffffffff',
  ]);
});
