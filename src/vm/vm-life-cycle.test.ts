import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HYPERCALL_REFUSED } from '../hypervisor/hypercalls.js';
import { VmState } from '../hypervisor/vm-shared-state.js';
import type { VmControls } from './life-cycle.js';
import { ManualLifeCycle } from './manual-life-cycle.js';
import { VmLifeCycle } from './vm-life-cycle.js';

/** Parts that record the steps in `steps`. `withdraws`: the results of `withdraw`, then true. */
function recording(steps: string[], withdraws: readonly boolean[] = []): VmControls {
  const step = (name: string): void => {
    steps.push(name);
  };
  const result = <T>(name: string, value: T): T => {
    steps.push(name);
    return value;
  };
  const results = [...withdraws];
  const parts = {
    name: 'vm',
    hypercalls: {
      shared: { vmState: VmState.CREATED },
      startVm: () => result('start', 0),
      pauseVm: () => Promise.resolve(result('pause', 0)),
      resetVm: () => Promise.resolve(result('reset', 0)),
      destroyVm: () => Promise.resolve(result('destroy', 0)),
    },
    module: { removeVm: () => step('remove') },
    requests: {
      clear: () => {
        step('clear');
        return Promise.resolve();
      },
      withdraw: () => result('withdraw', results.shift() ?? true),
    },
    emit: (event: { readonly kind: string }) => step(`emit ${event.kind}`),
    devicesReady: () => Promise.resolve(),
    resetDevices: () => step('reset devices'),
    closeDevices: () => step('close devices'),
    onPausing: () => step('pausing'),
    onStarting: () => step('starting'),
    sendPowerOff: () => step('send power-off'),
    onEnd: () => step('free'),
  };
  return parts as unknown as VmControls;
}

const RESET = ['pausing', 'pause', 'clear', 'withdraw', 'reset devices', 'reset', 'starting', 'start'];

test('a reset pauses, clears, withdraws, resets the devices, resets the VM and starts, in this order', async () => {
  const steps: string[] = [];
  await new VmLifeCycle(recording(steps), undefined).reset();
  assert.deepEqual(steps, RESET);
});

test('a reset does not go on while a thread is completing a request', async () => {
  const steps: string[] = [];
  await new VmLifeCycle(recording(steps, [false, false]), undefined).reset();
  assert.deepEqual(steps, [...RESET.slice(0, 3), 'withdraw', 'withdraw', ...RESET.slice(3)]);
});

test('a reset by userspace waits for a thread that is completing a request, and no start overtakes it', async () => {
  const steps: string[] = [];
  const lifeCycle = new ManualLifeCycle(recording(steps, [false]));
  const reset = lifeCycle.resetVm();
  while (!steps.includes('withdraw')) await Promise.resolve();
  assert.equal(lifeCycle.startVm(), HYPERCALL_REFUSED);
  assert.equal(await reset, 0);
  assert.deepEqual(steps, ['reset', 'withdraw', 'withdraw', 'reset devices']);
  assert.equal(lifeCycle.startVm(), 0);
});

test('the end pauses twice, removes the VM, closes the devices, destroys and frees, in this order, once', async () => {
  const steps: string[] = [];
  const lifeCycle = new VmLifeCycle(recording(steps), undefined);
  const end = { reason: 'destroyed', message: '' } as const;
  await Promise.all([lifeCycle.end(end), lifeCycle.end(end)]);
  const ending = ['pausing', 'pause', 'pausing', 'pause', 'remove', 'close devices', 'destroy', 'free', 'emit ended'];
  assert.deepEqual(steps, ending);
  assert.deepEqual(await lifeCycle.ended, end);
});

test('a second start while the first one waits says so, and leaves the first one alone', async () => {
  const steps: string[] = [];
  const lifeCycle = new VmLifeCycle(recording(steps), undefined);
  const first = lifeCycle.start();
  await assert.rejects(lifeCycle.start(), {
    code: 'VM_STATE',
    message: 'VM vm: it is starting already',
    remedy: 'Await the first start()',
    errno: -1,
  });
  await first;
  assert.deepEqual(steps, ['starting', 'start']);
  await lifeCycle.start();
  assert.equal(steps.length, 4, 'the hypervisor decides about later ones');
});

test('a start that is refused says that it is the start', async () => {
  const vm = recording([]);
  const refusing = { ...vm, hypercalls: { ...vm.hypercalls, setVcpuRegs: () => -1 } };
  const image = { load: () => undefined };
  const lifeCycle = new VmLifeCycle(refusing, image as unknown as ConstructorParameters<typeof VmLifeCycle>[1]);
  await assert.rejects(lifeCycle.start(), { code: 'VM_STATE', message: 'VM vm: cannot start in its present state' });
});

for (const [state, fact, remedy] of [
  ['RUNNING', 'it runs already', /reset it/],
  ['PAUSED', 'it is paused', /Reset it/],
  ['POWERED_OFF', 'it has ended', /Create another/],
] as const)
  test(`a start of a VM that is ${state} is refused, and changes neither its memory nor its fault plan`, async () => {
    const steps: string[] = [];
    const vm = recording(steps);
    const there = { ...vm, hypercalls: { ...vm.hypercalls, shared: { vmState: VmState[state] } } };
    const image = { load: () => steps.push('load') };
    const lifeCycle = new VmLifeCycle(there as unknown as VmControls, image as never);
    await assert.rejects(lifeCycle.start(), { code: 'VM_STATE', message: `VM vm: it cannot start: ${fact}`, remedy });
    assert.deepEqual(steps, []);
  });
