import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import type { OddProgram } from './fixtures/odd-vcpu-thread.js';
import { GuestMemory } from './guest-memory.js';
import type { Hypercalls } from './hypercalls.js';
import type { VmConfig, HypervisorEvent } from './hypervisor.js';
import { IrqLineOperation } from './interrupt-lines.js';
import { ScriptedHypervisor, type Script, type ScriptResult } from './scripted/scripted-hypervisor.js';
import { ThreadedVm } from './threaded-vm.js';
import { Upcall } from './upcall.js';
import { VcpuState, VmState } from './vm-shared-state.js';

const REFUSED = -1;
const { FREE, PENDING } = IoRequestState;

const config = (vcpuCount: number): VmConfig => ({
  name: 'tested',
  memoryBytes: 1 << 20,
  vcpuCount,
  completionPolling: false,
});

interface Machine {
  readonly vm: Hypercalls;
  readonly buffer: SharedBuffer;
  readonly events: HypervisorEvent[];
  readonly reports: unknown[];
  readonly results: (vcpuCount?: number) => Promise<ScriptResult[]>;
}

/** A VM in state CREATED, with its page set. */
async function scripted(...scripts: Script[]): Promise<Machine> {
  const hypervisor = new ScriptedHypervisor(scripts);
  const buffer = new SharedBuffer();
  const events: HypervisorEvent[] = [];
  const vm = await hypervisor.createVm(config(Math.max(1, scripts.length)), buffer, new Upcall(), (event) =>
    events.push(event),
  );
  assert.equal(vm.setIoreqBuffer(), 0);
  return { vm, buffer, events, reports: [], results: (count) => hypervisor.results(count) };
}

async function odd(...programs: OddProgram[]): Promise<Machine> {
  const buffer = new SharedBuffer();
  const events: HypervisorEvent[] = [];
  const reports: unknown[] = [];
  const vm = await ThreadedVm.create({
    config: config(programs.length),
    buffer,
    upcall: new Upcall(),
    onEvent: (event) => events.push(event),
    entry: new URL('./fixtures/odd-vcpu-thread.js', import.meta.url),
    program: (vcpu) => programs[vcpu],
    memory: new GuestMemory({ buffer: new SharedArrayBuffer(4096), byteOffset: 0, byteLength: 4096 }),
    onReport: (_, report) => reports.push(report),
  });
  assert.equal(vm.setIoreqBuffer(), 0);
  return { vm, buffer, events, reports, results: () => Promise.resolve([]) };
}

/** Turns the event loop until `condition`; the test's own time limit ends it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function end(vm: Hypercalls): Promise<void> {
  assert.equal(await vm.pauseVm(), 0);
  assert.equal(await vm.destroyVm(), 0);
  assert.equal(vm.shared.vmState, VmState.POWERED_OFF);
  for (let vcpu = 0; vcpu < vm.vcpuCount; vcpu++) assert.equal(vm.shared.vcpuState(vcpu), VcpuState.OFFLINE);
}

const readPort: Script = { steps: [{ type: 'port', direction: 'read', address: 0x500, size: 1 }] };
const waitForLine: Script = { steps: [{ type: 'wait-for-interrupt', line: 5 }] };
const LIMIT = { timeout: 120_000 };

describe('life cycle', LIMIT, () => {
  test('a VM is CREATED with its vCPUs parked, and starts only with its page set', async () => {
    const hypervisor = new ScriptedHypervisor([waitForLine]);
    const buffer = new SharedBuffer(new SharedArrayBuffer(4096));
    const vm = await hypervisor.createVm(config(1), buffer, new Upcall(), () => undefined);
    assert.equal(vm.shared.vmState, VmState.CREATED);
    assert.equal(vm.shared.vcpuState(0), VcpuState.INIT);
    assert.equal(vm.startVm(), REFUSED);
    assert.equal(buffer.slot(0).state, PENDING, 'the page is not stamped yet');
    assert.equal(vm.setIoreqBuffer(), 0);
    assert.equal(buffer.slot(15).state, FREE);
    assert.equal(vm.startVm(), 0);
    assert.equal(vm.shared.vmState, VmState.RUNNING);
    await end(vm);
  });

  test('START of a VM that runs is refused, and it runs on', async () => {
    const { vm, results } = await scripted(waitForLine);
    const done = results();
    assert.equal(vm.startVm(), 0);
    assert.equal(vm.startVm(), REFUSED);
    assert.equal(vm.shared.vmState, VmState.RUNNING);
    vm.setIrqLine(5, IrqLineOperation.HIGH);
    await done;
    await end(vm);
  });

  test('the page can be set again while CREATED, and not while the VM runs or is paused', async () => {
    const { vm, buffer } = await scripted(waitForLine);
    buffer.slot(7).fill(0, 0, 0, 0, 1, 0, 0, false);
    assert.equal(vm.setIoreqBuffer(), 0);
    assert.equal(buffer.slot(7).state, FREE);
    vm.startVm();
    buffer.slot(7).fill(0, 0, 0, 0, 1, 0, 0, false);
    assert.equal(vm.setIoreqBuffer(), REFUSED);
    await vm.pauseVm();
    assert.equal(vm.setIoreqBuffer(), REFUSED);
    assert.equal(buffer.slot(7).state, PENDING);
    assert.equal(await vm.destroyVm(), 0);
  });

  test('RESET and DESTROY of a VM that runs are refused and the VM is still usable (vector 11)', async () => {
    const { vm, results } = await scripted(waitForLine);
    const done = results();
    vm.startVm();
    assert.equal(await vm.resetVm(), REFUSED);
    assert.equal(await vm.destroyVm(), REFUSED);
    assert.equal(vm.shared.vmState, VmState.RUNNING);
    vm.setIrqLine(5, IrqLineOperation.HIGH);
    assert.equal((await done).length, 1);
    await end(vm);
  });

  test('RESET and DESTROY of a VM that is only CREATED are refused', async () => {
    const { vm } = await scripted(readPort);
    assert.equal(await vm.resetVm(), REFUSED);
    assert.equal(await vm.destroyVm(), REFUSED);
    await end(vm);
  });

  test('PAUSE succeeds in CREATED, RUNNING and PAUSED, and fails only when the VM is powered off', async () => {
    const { vm } = await scripted(waitForLine);
    assert.equal(await vm.pauseVm(), 0);
    assert.equal(vm.startVm(), REFUSED, 'there is no way back from PAUSED but a reset');
    assert.equal(await vm.resetVm(), 0);
    assert.equal(vm.shared.vmState, VmState.CREATED);
    assert.equal(vm.startVm(), 0);
    assert.deepEqual(await Promise.all([vm.pauseVm(), vm.pauseVm()]), [0, 0]);
    assert.equal(vm.shared.vmState, VmState.PAUSED);
    assert.equal(await vm.destroyVm(), 0);
    assert.equal(await vm.pauseVm(), REFUSED);
  });

  test('a second DESTROY, and every other hypercall after the first, is refused', async () => {
    const { vm } = await scripted(readPort, readPort);
    await end(vm);
    assert.equal(await vm.destroyVm(), REFUSED);
    assert.equal(await vm.resetVm(), REFUSED);
    const registers = { mode: 'real', ip: 0, cs: { selector: 0 }, ds: { selector: 0 } } as const;
    assert.deepEqual(
      [vm.startVm(), vm.setIoreqBuffer(), vm.notifyRequestFinish(0), vm.setIrqLine(1, 0), vm.setVcpuRegs(0, registers)],
      [REFUSED, REFUSED, REFUSED, REFUSED, REFUSED],
    );
  });

  test('a reset withdraws the vCPU that waits for a request, stamps the page and plays from the beginning', async () => {
    const { vm, buffer, results } = await scripted(readPort, readPort);
    const done = results(2);
    vm.startVm();
    await until(() => buffer.slot(0).state === PENDING && buffer.slot(1).state === PENDING);
    assert.equal(await vm.pauseVm(), 0);
    assert.equal(buffer.slot(0).state, PENDING, 'a paused vCPU still waits: ACRN’s zombie');
    assert.equal(await vm.resetVm(), 0);
    assert.ok(buffer.slots.every((slot) => slot.state === FREE));
    assert.equal(vm.shared.vcpuState(0), VcpuState.INIT);
    assert.equal(vm.startVm(), 0);
    await until(() => buffer.slot(0).state === PENDING && buffer.slot(1).state === PENDING);
    for (const vcpu of [0, 1]) {
      const slot = buffer.slot(vcpu);
      slot.assign(false);
      slot.setValue(0x40 + vcpu);
      slot.complete();
      assert.equal(vm.notifyRequestFinish(vcpu), 0);
    }
    assert.deepEqual(
      (await done).map(({ values, accesses }) => [values, accesses]),
      [
        [[0x40n], 1],
        [[0x41n], 1],
      ],
    );
    await end(vm);
  });

  test('a late completion wakes the zombie of a paused VM, which frees its slot and goes nowhere', async () => {
    const { vm, buffer, events } = await scripted(readPort);
    vm.startVm();
    const slot = buffer.slot(0);
    await until(() => slot.state === PENDING);
    await vm.pauseVm();
    slot.assign(false);
    slot.complete();
    vm.notifyRequestFinish(0);
    await until(() => slot.state === FREE);
    await until(() => vm.shared.vcpuState(0) === VcpuState.INIT);
    assert.deepEqual(events, []);
    assert.equal(await vm.destroyVm(), 0);
  });

  test('many starts, pauses and resets in a row leave nothing behind', async () => {
    const busy: Script = { ...readPort, repeat: 1e9 };
    const { vm, buffer, events } = await scripted(busy, busy, waitForLine);
    for (let round = 0; round < 25; round++) {
      assert.equal(vm.startVm(), 0);
      if (round % 3 === 0) await until(() => buffer.slot(0).state === PENDING);
      assert.equal(await vm.pauseVm(), 0);
      assert.equal(await vm.resetVm(), 0);
      assert.ok(buffer.slots.every((slot) => slot.state === FREE));
    }
    assert.deepEqual(events, []);
    await end(vm);
  });

  test('a process whose VMs are destroyed ends by itself: no thread is left', async () => {
    const file = fileURLToPath(new URL('./fixtures/destroys-its-vm.js', import.meta.url));
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    const kill = setTimeout(() => child.kill('SIGKILL'), 20_000);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(kill);
    assert.deepEqual([code, output], [0, 'destroyed 0 0']);
  });
});

describe('hypercalls', LIMIT, () => {
  test('the completion hypercall accepts the VM’s vCPUs only and does not read the slot', async () => {
    const { vm, buffer } = await scripted(readPort, readPort);
    assert.deepEqual(
      [-1, 2, 15, 16, NaN].map((vcpu) => vm.notifyRequestFinish(vcpu)),
      [-1, -1, -1, -1, -1],
    );
    assert.deepEqual(
      [0, 1].map((vcpu) => vm.notifyRequestFinish(vcpu)),
      [0, 0],
    );
    assert.ok(buffer.slots.every((slot) => slot.state === FREE));
    await end(vm);
  });

  test('a completion hypercall without a completion lets the vCPU sleep on', async () => {
    const { vm, buffer, results } = await scripted(readPort);
    const done = results();
    vm.startVm();
    const slot = buffer.slot(0);
    await until(() => slot.state === PENDING);
    vm.notifyRequestFinish(0);
    vm.notifyRequestFinish(0);
    slot.assign(false);
    slot.setValue(9);
    slot.complete();
    vm.notifyRequestFinish(0);
    assert.deepEqual((await done)[0]?.values, [9n]);
    await end(vm);
  });

  test('an interrupt line has four operations; an unknown one is ignored with 0, a line past 47 refused', async () => {
    const { vm } = await scripted(readPort);
    const { lines } = vm.shared;
    const set = (operation: number): [number, boolean] => [vm.setIrqLine(9, operation), lines.level(9)];
    assert.deepEqual(set(IrqLineOperation.HIGH), [0, true]);
    assert.deepEqual(set(IrqLineOperation.LOW), [0, false]);
    assert.deepEqual(set(IrqLineOperation.RAISING_PULSE), [0, false]);
    assert.deepEqual(set(IrqLineOperation.FALLING_PULSE), [0, true]);
    assert.deepEqual(set(99), [0, true]);
    assert.deepEqual(
      [-1, 48, 1e9, NaN].map((gsi) => vm.setIrqLine(gsi, 0)),
      [-1, -1, -1, -1],
    );
    await end(vm);
  });

  test('the registers that were set last reach the vCPU when it starts, and stay for the next start', async () => {
    const { vm, reports } = await odd('reports its registers');
    const at = (ip: number) => ({ mode: 'flat-32', ip, cs: { selector: 8 }, ds: { selector: 16 } }) as const;
    assert.equal(vm.setVcpuRegs(0, at(1)), 0);
    assert.equal(vm.setVcpuRegs(0, at(2)), 0);
    assert.equal(vm.setVcpuRegs(1, at(3)), REFUSED);
    assert.equal(vm.setVcpuRegs(-1, at(3)), REFUSED);
    vm.startVm();
    assert.equal(vm.setVcpuRegs(0, at(4)), REFUSED);
    await until(() => reports.length === 1);
    await vm.pauseVm();
    await vm.resetVm();
    vm.startVm();
    await until(() => reports.length === 2);
    assert.deepEqual(reports, [at(2), at(2)]);
    await end(vm);
  });

  test('more than 16 vCPUs are refused before a thread starts', async () => {
    const create = async (): Promise<Hypercalls> =>
      new ScriptedHypervisor([]).createVm(config(17), new SharedBuffer(), new Upcall(), () => undefined);
    await assert.rejects(create, { code: 'VM_LIMIT' });
  });
});

describe('a vCPU that goes wrong', LIMIT, () => {
  test('an error of the hypervisor is an event with its stack; the VM can be destroyed', async () => {
    const { vm, events } = await odd('throws', 'halts for a minute');
    vm.startVm();
    await until(() => events.length > 0);
    const [event] = events;
    assert.ok(event?.kind === 'crashed');
    assert.deepEqual([event.vcpu, event.message], [0, 'vCPU 0 failed: broken core']);
    assert.match(event.stack ?? '', /odd-vcpu-thread/);
    await end(vm);
    assert.equal(events.length, 1);
  });

  test('a triple fault is an event of its own, and a reset brings the vCPU back', async () => {
    const { vm, events } = await odd('triple-faults');
    vm.startVm();
    await until(() => events.length === 1);
    await vm.pauseVm();
    await vm.resetVm();
    vm.startVm();
    await until(() => events.length === 2);
    assert.deepEqual(events[1], { kind: 'triple-fault', vcpu: 0, message: 'vCPU 0 is lost' });
    await end(vm);
  });

  test('halting with interrupts off is reported once', async () => {
    const { vm, events } = await odd('reports its registers');
    vm.startVm();
    await until(() => events.length > 0);
    assert.deepEqual(
      events.map(({ kind, vcpu }) => [kind, vcpu]),
      [['halted', 0]],
    );
    await end(vm);
  });

  test('a thread that ends by an error is one event, with the error and its stack', async () => {
    const { vm, events } = await odd('throws what throws');
    vm.startVm();
    await until(() => vm.shared.vcpuState(0) === VcpuState.OFFLINE);
    const [event, ...others] = events;
    assert.ok(event?.kind === 'crashed');
    assert.equal(event.message, 'the thread of vCPU 0 of VM tested failed: not in the program');
    assert.match(event.stack ?? '', /failOutside/);
    assert.deepEqual(others, []);
    await end(vm);
  });

  test('a thread that ends is an event, and neither pause nor reset nor destroy waits for it', async () => {
    const { vm, events } = await odd('ends its thread', 'halts for a minute');
    vm.startVm();
    await until(() => events.length > 0);
    await until(() => vm.shared.vcpuState(0) === VcpuState.OFFLINE);
    const message =
      'the thread of vCPU 0 of VM tested failed: process.exit(0) was called, where an error should be thrown';
    assert.deepEqual(
      events.map((event) => [event.kind, event.vcpu, event.message]),
      [['crashed', 0, message]],
    );
    assert.equal(vm.shared.vcpuState(0), VcpuState.OFFLINE);
    assert.equal(await vm.pauseVm(), 0);
    assert.equal(await vm.resetVm(), 0);
    await end(vm);
  });

  test('a vCPU that crashed after its request was answered leaves its slot FREE', async () => {
    const { vm, buffer, events } = await odd('throws in a request');
    vm.startVm();
    const slot = buffer.slot(0);
    await until(() => slot.state === PENDING);
    slot.assign(true);
    slot.complete();
    vm.notifyRequestFinish(0);
    await until(() => events.length > 0);
    assert.equal(slot.state, FREE);
    await end(vm);
  });

  test('a thread that hangs is terminated when the VM is destroyed', async () => {
    const { vm, reports } = await odd('never returns');
    vm.startVm();
    await until(() => reports.length > 0);
    // Its pause would wait for the slice to end, which it never does; the owner powers it off all
    // the same.
    vm.shared.setVmState(VmState.PAUSED);
    assert.equal(await vm.destroyVm(), 0);
    assert.equal(vm.shared.vcpuState(0), VcpuState.OFFLINE);
  });

  test('a halted vCPU wakes for an interrupt line and for the end of its VM', async () => {
    const { vm, reports } = await odd('halts for a minute');
    vm.startVm();
    await until(() => reports.includes('halted'));
    vm.setIrqLine(11, IrqLineOperation.HIGH);
    await until(() => reports.includes(11));
    await end(vm);
  });

  test('a vCPU that cannot be built refuses the whole VM with its own code and remedy', async () => {
    await assert.rejects(odd('halts for a minute', 'cannot be built'), {
      code: 'CORE_MISMATCH',
      message: 'another core',
      remedy: 'Install that one',
    });
    await assert.rejects(odd('has no core'), { code: 'THREAD_FAILED', message: 'no core' });
    await assert.rejects(odd('exits while it is built'), {
      code: 'THREAD_FAILED',
      message: 'the thread of vCPU 0 of VM tested failed: process.exit(3) was called, where an error should be thrown',
    });
  });

  test('a thread whose file is not there refuses the VM', async () => {
    const create = ThreadedVm.create({
      config: config(1),
      buffer: new SharedBuffer(),
      upcall: new Upcall(),
      onEvent: () => undefined,
      entry: new URL('./fixtures/no-such-thread.js', import.meta.url),
      program: () => undefined,
      memory: new GuestMemory({ buffer: new SharedArrayBuffer(64), byteOffset: 0, byteLength: 64 }),
    });
    await assert.rejects(create, { code: 'THREAD_FAILED' });
  });

  test('a thread that cannot be created refuses the VM; the others end without an event', async () => {
    const events: HypervisorEvent[] = [];
    const unhandled: unknown[] = [];
    const onRejection = (error: unknown): unknown => unhandled.push(error);
    process.on('unhandledRejection', onRejection);
    const create = ThreadedVm.create({
      config: config(3),
      buffer: new SharedBuffer(),
      upcall: new Upcall(),
      onEvent: (event) => events.push(event),
      entry: new URL('./fixtures/odd-vcpu-thread.js', import.meta.url),
      // A function cannot be sent to a thread.
      program: (vcpu) => (vcpu === 2 ? () => undefined : 'throws'),
      memory: new GuestMemory({ buffer: new SharedArrayBuffer(64), byteOffset: 0, byteLength: 64 }),
    });
    await assert.rejects(create, { code: 'THREAD_FAILED', message: /vCPU 2/ });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', onRejection);
    assert.deepEqual([unhandled, events], [[], []]);
  });

  test('a VM to which no core brings memory is refused', async () => {
    const create = ThreadedVm.create({
      config: config(1),
      buffer: new SharedBuffer(),
      upcall: new Upcall(),
      onEvent: () => undefined,
      entry: new URL('./fixtures/odd-vcpu-thread.js', import.meta.url),
      program: () => 'throws',
    });
    await assert.rejects(create, { code: 'THREAD_FAILED', message: /memory/ });
  });
});
