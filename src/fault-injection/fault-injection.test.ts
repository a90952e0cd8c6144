import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Device } from '../device-model/device.js';
import { inOwnThread, type ThreadPlacement } from '../device-model/placement/thread-placement.js';
import { GATE } from '../device-model/placement/fixtures/gated-device.js';
import { ports } from '../hsm/address-range.js';
import { ScriptedHypervisor, type Script, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { SharedWords } from '../sync/shared-words.js';
import { IoRequestState } from '../io-request/state.js';
import { ServiceVm } from '../vm/service-vm.js';
import type { UserVmOptions } from '../vm/user-vm-options.js';
import type { UserVmEvent } from '../vm/user-vm-events.js';
import type { FaultRule } from './fault-rule.js';
import type { FaultRecord, FaultReportRow } from './fault-trigger.js';

const range = ports(0x500, 4);
const read = (offset = 0): ScriptStep => ({ type: 'port', direction: 'read', address: 0x500 + offset, size: 1 });
const write = (value: number, offset = 1): ScriptStep => ({
  type: 'port',
  direction: 'write',
  address: 0x500 + offset,
  size: 1,
  value,
});

/** Like ReportingDevice, in the Service VM's thread. */
class Counter implements Device {
  readonly name = 'counter';
  accesses = 0;
  written = 0;
  read(offset: number): number {
    return offset === 1 ? this.written : 0x40 + this.accesses++;
  }
  write(offset: number, _size: number, value: number): void {
    if (offset === 1) this.written = value;
  }
}

interface Run {
  readonly values: readonly number[];
  readonly events: readonly UserVmEvent[];
  readonly faults: readonly FaultRecord[];
  readonly report: readonly FaultReportRow[];
  readonly seed: number;
}

type Rules = readonly (string | FaultRule)[];

/** Runs a script against a device with these rules to its end. */
async function run(
  steps: readonly ScriptStep[],
  rules: Rules,
  device: Device | ThreadPlacement = new Counter(),
  options: UserVmOptions & { readonly seed?: number; readonly script?: Partial<Script> } = {},
): Promise<Run> {
  const hypervisor = new ScriptedHypervisor([{ steps, ...options.script }]);
  const serviceVm = new ServiceVm(hypervisor);
  const results = hypervisor.results();
  const { seed } = options;
  const vm = await serviceVm.createUserVm({
    memoryMiB: 1,
    // A slow machine must not make a client late.
    clientTimeoutMs: 60_000,
    startTimeoutMs: 60_000,
    faults: { rules, ...(seed === undefined ? {} : { seed }) },
    ...options,
  });
  const events: UserVmEvent[] = [];
  vm.onEvent((event) => events.push(event));
  vm.attach(range, device);
  await vm.start();
  const [result] = await results;
  await vm.ended;
  await serviceVm.close();
  const faults = events.filter((event) => event.kind === 'fault-injected');
  return {
    values: result?.values.map(Number) ?? [],
    events,
    faults,
    report: vm.faults?.report() ?? [],
    seed: vm.faults?.seed ?? NaN,
  };
}

const OWN_THREAD = inOwnThread(new URL('./fixtures/reporting-device.js', import.meta.url));

for (const [place, device] of [
  ['in the Service VM’s thread', () => new Counter()],
  ['in its own thread', () => OWN_THREAD],
] as const)
  describe(`a device ${place}`, { timeout: 120_000 }, () => {
    const five = [read(), read(), read(), read(), read()];

    test('is unchanged if no rule selects its requests', async () => {
      const { values, faults, report } = await run(five, ['port=0x600: ones'], device());
      assert.deepEqual(values, [0x40, 0x41, 0x42, 0x43, 0x44]);
      assert.deepEqual(faults, []);
      assert.deepEqual(report, [{ rule: 'port=0x600: ones', matches: 0, injected: 0 }]);
    });

    test('returns all ones, a value, flipped bits and stale values', async () => {
      assert.deepEqual((await run(five, ['read after=3: ones'], device())).values, [0x40, 0x41, 0x42, 0xff, 0xff]);
      assert.deepEqual((await run(five, ['every=2: value=7'], device())).values, [0x40, 7, 0x42, 7, 0x44]);
      assert.deepEqual((await run(five, ['size=1 times=2: flip=0x81'], device())).values, [
        0x40 ^ 0x81,
        0x41 ^ 0x81,
        0x42,
        0x43,
        0x44,
      ]);
      const stale = await run(five, ['after=1: stale times=2'], device());
      assert.deepEqual(stale.values, [0x40, 0x41, 0x41, 0x41, 0x44], 'the device was read each time');
      assert.deepEqual([stale.report[0]?.matches, stale.report[0]?.injected], [4, 2]);
    });

    test('gets altered writes', async () => {
      const steps = [write(0x10), read(1), write(0x11), read(1), write(0x12), read(1)];
      const { values } = await run(steps, ['write times=1: ones', 'write after=1 times=1: flip=0x2'], device());
      assert.deepEqual(values, [0xff, 0x13, 0x12]);
    });

    test('that is slow or delayed returns the same values', async () => {
      for (const rule of ['client=c*nt*r: delay=3ms', ': slow=1ms', 'read: slow=100us', ': delay=0'])
        assert.deepEqual((await run(five, [rule], device())).values, [0x40, 0x41, 0x42, 0x43, 0x44], rule);
    });

    test('with a dropped answer is finished by the time limit and removed', async () => {
      const { values, events } = await run(five, ['client=counter after=1: drop'], device(), {
        clientTimeoutMs: 1000,
      });
      assert.deepEqual(values, [0x40, 0xff, 0xff, 0xff, 0xff]);
      assert.equal(events.filter(({ kind }) => kind === 'client-late').length, 1);
    });

    test('that crashes is removed and its range reads all ones', async () => {
      const { values, events } = await run(five, ['client=counter after=2: crash'], device(), {
        clientTimeoutMs: Infinity,
      });
      assert.deepEqual(values, [0x40, 0x41, 0xff, 0xff, 0xff]);
      const kinds = events.map(({ kind }) => kind);
      assert.ok(kinds.includes('client-failed') || kinds.includes('device-lost'), kinds.join(' '));
    });

    test('that is removed at its third request reads all ones', async () => {
      const { values, events } = await run(five, ['client=counter after=2: remove'], device(), {
        clientTimeoutMs: Infinity,
      });
      assert.deepEqual(values, [0x40, 0x41, 0xff, 0xff, 0xff]);
      assert.ok(events.every(({ kind }) => kind !== 'client-failed' && kind !== 'device-lost'));
    });

    test('has the same faults with the same seed, and others with another seed', async () => {
      const script = { repeat: 40 };
      const rules = ['read p=0.3: flip', 'p=0.2: value=9'];
      const once = await run(five, rules, device(), { seed: 1, script });
      const again = await run(five, rules, device(), { seed: 1, script });
      const other = await run(five, rules, device(), { seed: 2, script });
      const what = ({ faults }: Run): unknown => faults.map((fault) => ({ ...fault, timeMs: 0 }));
      assert.ok(once.faults.length > 20, `${once.faults.length} faults`);
      assert.deepEqual(what(again), what(once));
      assert.deepEqual(again.values, once.values);
      assert.notDeepEqual(what(other), what(once));
    });
  });

describe('the report', { timeout: 120_000 }, () => {
  test('has the text of each rule, and its first and last fault', async () => {
    const { report, faults } = await run([read(), read(), read(3)], ['  read:   ones ', 'port=0x503: value=1']);
    assert.deepEqual(
      report.map(({ rule, matches, injected }) => [rule, matches, injected]),
      [
        ['read:   ones', 3, 3],
        ['port=0x503: value=1', 1, 1],
      ],
    );
    const [{ first, last } = assert.fail()] = report;
    assert.deepEqual([first?.target, first?.vcpu, first?.nth, first?.request], ['counter', 0, 1, 'read port 0x500/1']);
    assert.match(last?.request ?? '', /^read port 0x503\/1/);
    assert.equal(faults.length, 4);
  });

  test('survives a round trip through JSON', async () => {
    const { report } = await run([read()], [{ kind: 'request', effect: { kind: 'value', value: 5n } }]);
    assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
    assert.equal(report[0]?.rule, ': value=0x5');
  });
});

describe('interrupts', { timeout: 120_000 }, () => {
  const wait: ScriptStep = { type: 'wait-for-interrupt', line: 5 };

  test('of a device in its own thread reach the guest after its earlier answers', async () => {
    const { values } = await run([read(), write(1, 2), wait, read()], ['line=9: lose'], OWN_THREAD);
    assert.deepEqual(values, [0x40, 0x41]);
  });

  test('that are lost do not reach the guest until the line rises again', async () => {
    const steps = [write(1, 2), write(1, 3), write(1, 2), wait, read()];
    const { values, report } = await run(steps, ['line=5: lose times=1'], OWN_THREAD);
    assert.deepEqual(values, [0x40]);
    assert.deepEqual([report[0]?.matches, report[0]?.injected, report[0]?.first?.target], [2, 1, 'line 5']);
  });

  test('that are delayed reach the guest', async () => {
    const { values } = await run([write(1, 2), wait, read()], ['line=5: delay=5ms'], OWN_THREAD);
    assert.deepEqual(values, [0x40]);
  });
});

describe('fault injection of a VM', { timeout: 120_000 }, () => {
  test('an invalid rule is refused before the VM is created', async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
    await assert.rejects(serviceVm.createUserVm({ faults: { rules: ['read: nothing'] } }), { code: 'OPTION_INVALID' });
    await assert.rejects(serviceVm.createUserVm({ faults: { seed: 0.5, rules: [] } }), { code: 'OPTION_INVALID' });
    assert.deepEqual(serviceVm.vms, []);
    await serviceVm.close();
  });

  test('the default client survives crash and remove, and its requests read all ones', async () => {
    const elsewhere: ScriptStep = { type: 'port', direction: 'read', address: 0x700, size: 1 };
    for (const effect of ['crash', 'remove']) {
      const { values, faults } = await run([elsewhere, elsewhere, read()], [`client=default times=1: ${effect}`]);
      assert.deepEqual([values, faults.length], [[0xff, 0xff, 0x40], 1]);
    }
  });

  test('a rule added while the VM runs applies from then on', async () => {
    const hypervisor = new ScriptedHypervisor([{ steps: [read(), { type: 'wait-for-interrupt', line: 3 }, read()] }]);
    const serviceVm = new ServiceVm(hypervisor);
    const results = hypervisor.results();
    const vm = await serviceVm.createUserVm({ memoryMiB: 1, faults: { rules: [] } });
    const counter = new Counter();
    vm.attach(range, counter);
    await vm.start();
    while (counter.accesses === 0) await new Promise((resolve) => setImmediate(resolve));
    vm.faults?.add('read: ones');
    vm.interruptLine(3).set(true);
    assert.deepEqual((await results)[0]?.values.map(Number), [0x40, 0xff]);
    await serviceVm.close();
  });

  test('a VM without a plan has no fault injection', async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
    const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
    assert.equal(vm.faults, undefined);
    await serviceVm.close();
  });

  test('a reset reaches a device in its own thread before the guest’s next access', async () => {
    const gate = new SharedWords(GATE.WORDS);
    const hypervisor = new ScriptedHypervisor([{ steps: [write(1, 0)] }, { steps: [write(1, 0)] }]);
    const serviceVm = new ServiceVm(hypervisor);
    const vm = await serviceVm.createUserVm({
      memoryMiB: 1,
      vcpus: 2,
      faults: { rules: [] },
      clientTimeoutMs: Infinity,
    });
    const module = new URL('../device-model/placement/fixtures/gated-device.js', import.meta.url);
    vm.attach(range, inOwnThread(module, { words: gate.buffer }));
    await vm.start();
    // One request waits at the gate, the other one behind it.
    const isAssigned = (vcpu: number): boolean => vm.buffer.slot(vcpu).state === IoRequestState.PROCESSING;
    while (gate.load(GATE.ENTERED) === 0 || !isAssigned(0) || !isAssigned(1))
      await new Promise((resolve) => setImmediate(resolve));
    const results = hypervisor.results();
    await vm.reset();
    gate.store(GATE.OPENED, 100);
    await results;
    // The write in progress, the reset, then the two writes after the restart.
    assert.equal(gate.load(GATE.ACTS), 1911);
    await serviceVm.close();
  });

  test('a removed device can be attached again, and a reset cancels delayed requests', async () => {
    // The second read waits for the new device: before that the default client would answer it.
    const steps: ScriptStep[] = [read(), { type: 'wait-for-interrupt', line: 5 }, read()];
    const hypervisor = new ScriptedHypervisor([{ steps }]);
    const serviceVm = new ServiceVm(hypervisor);
    const vm = await serviceVm.createUserVm({
      memoryMiB: 1,
      faults: { rules: ['times=1: remove', 'after=1 times=1: delay=1s'] },
    });
    let resets = 0;
    vm.attach(range, new Counter());
    vm.onEvent((event) => {
      if (event.kind !== 'fault-injected') return;
      if (event.rule.endsWith('remove'))
        setImmediate(() => {
          vm.attach(range, new Counter());
          vm.interruptLine(5).set(true);
        });
      else if (resets++ === 0) setImmediate(() => void vm.reset());
    });
    const results = hypervisor.results();
    await vm.start();
    // The delayed read was the new device's first.
    assert.deepEqual((await results)[0]?.values.map(Number), [0x41, 0x42]);
    await serviceVm.close();
  });
});
