/**
 * Hypervisors that are broken on purpose: for each, the case of the suite that fails and its
 * message.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Hypercalls } from '../../hypervisor/hypercalls.js';
import type { Hypervisor, VmConfig, HypervisorEvent } from '../../hypervisor/hypervisor.js';
import type { Script, ScriptStep } from '../../hypervisor/scripted/script.js';
import { ScriptedHypervisor } from '../../hypervisor/scripted/scripted-hypervisor.js';
import { Upcall } from '../../hypervisor/upcall.js';
import { VcpuState, VmState } from '../../hypervisor/vm-shared-state.js';
import type { SharedBuffer } from '../../io-request/shared-buffer.js';
import { IoRequestState } from '../../io-request/state.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { SCRIPTED, scriptOf } from '../fixtures/scripted-guests.js';
import { ConformanceError, hypervisorSuite, runHypervisorSuite, type HypervisorUnderTest } from './index.js';
import { QUIET_MS } from './tested-vm.js';

interface Defect {
  /** The scripts of the vCPUs, as the broken hypervisor plays them. */
  readonly scripts?: (scripts: Script[]) => Script[];
  readonly config?: (config: VmConfig) => VmConfig;
  readonly upcall?: () => Upcall;
  readonly onEvent?: (onEvent: (event: HypervisorEvent) => void) => (event: HypervisorEvent) => void;
  /** Hypercalls in the place of the right ones. */
  readonly hypercalls?: (vm: Hypercalls, buffer: SharedBuffer) => Partial<Hypercalls>;
}

/** The scripted hypervisor with a defect. Its VMs, without the defect, are added to `vms`. */
function broken(defect: Defect, vms: Hypercalls[]): HypervisorUnderTest {
  return {
    ...SCRIPTED,
    limitMs: 1500,
    create: (programs): Hypervisor => {
      const scripts = programs.map(scriptOf);
      const inner = new ScriptedHypervisor(defect.scripts?.(scripts) ?? scripts);
      return {
        name: 'broken',
        available: () => inner.available(),
        createVm: async (config, buffer, upcall, onEvent) => {
          const vm = await inner.createVm(
            defect.config?.(config) ?? config,
            buffer,
            defect.upcall?.() ?? upcall,
            defect.onEvent?.(onEvent) ?? onEvent,
          );
          vms.push(vm);
          return overridden(vm, defect.hypercalls?.(vm, buffer) ?? {});
        },
      };
    },
  };
}

function overridden(vm: Hypercalls, own: Partial<Hypercalls>): Hypercalls {
  return new Proxy(vm, {
    get: (target, key) => {
      if (key in own) return Reflect.get(own, key) as unknown;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

const changed = (change: (steps: readonly ScriptStep[]) => readonly ScriptStep[]): Defect => ({
  scripts: (scripts) => scripts.map((script) => ({ ...script, steps: change(script.steps) })),
});
const changedStep = (change: (step: ScriptStep) => ScriptStep): Defect => changed((steps) => steps.map(change));
const swapped = (steps: readonly ScriptStep[], at: number): ScriptStep[] => {
  const all = [...steps];
  all.splice(at, 2, ...all.slice(at, at + 2).reverse());
  return all;
};

const DEFECTS: readonly (readonly [defect: string, Defect, caseName: string, error: RegExp])[] = [
  [
    'a port access has another size',
    changedStep((step) => (step.type === 'port' && step.size === 2 ? { ...step, size: 1 } : step)),
    'port accesses of 2 bytes, aligned or not, are one request each',
    /: out 0x0\/1 = 0x\w+, expected out 0x0\/2 = /,
  ],
  [
    'unaligned accesses are aligned',
    changedStep((step) =>
      step.type === 'mmio' ? { ...step, address: step.address - (step.address % step.size) } : step,
    ),
    'stores of 4 bytes, aligned or not, are one request each',
    /: store 0xd0000000\/4 = \w+, expected store 0xd0000001\/4/,
  ],
  [
    'the upper word of an address is lost',
    changedStep((step) => (step.type === 'mmio' ? { ...step, address: step.address % 2 ** 32 } : step)),
    'accesses of 8 bytes above 4 GiB keep the upper word of their address',
    /: store 0x0\/8 = \w+, expected store 0x100000000\/8/,
  ],
  [
    'the upper word of a value is lost',
    changedStep((step) =>
      step.type === 'mmio' && typeof step.value === 'bigint' ? { ...step, value: step.value & 0xffff_ffffn } : step,
    ),
    'stores of 8 bytes, aligned or not, are one request each',
    /: store 0xd0000000\/8 = 0xc5d6e7f8, expected store 0xd0000000\/8 = 0x8192a3b4c5d6e7f8/,
  ],
  [
    'memory is stored to before it is loaded',
    changed((steps) => swapped(steps, 0)),
    'an instruction that adds to 4 bytes of memory loads them, then stores the sum',
    /: store 0xd0000000\/4 = \w+, expected load 0xd0000000\/4/,
  ],
  [
    'two elements of a string come in the wrong order',
    changed((steps) => swapped(steps, 2)),
    'a string OUT of 2-byte elements writes each in order',
    /, expected out 0x520\/2 = /,
  ],
  [
    'an element of a string is lost',
    changed((steps) => steps.filter((_, index) => index !== 300)),
    'a string OUT of 600 elements writes each in order',
    /, expected out 0x520\/2 = /,
  ],
  [
    'an element of a string comes twice',
    changed((steps) => [...steps.slice(0, 5), ...steps.slice(4)]),
    'a string IN of 1-byte elements reads each in order',
    /: in 0x520\/1, expected out 0x700\/4/,
  ],
  [
    'the guest makes an access of its own at its end',
    changed((steps) => [...steps, { type: 'port', direction: 'read', address: 0x80, size: 1 }]),
    'a string instruction without elements makes no request',
    /another request: in 0x80\/1/,
  ],
  [
    'a VM is started without its page',
    { hypercalls: (vm) => ({ startVm: () => vm.setIoreqBuffer() || vm.startVm() }) },
    'a VM whose page was never set is not started',
    /a VM whose page was never set was started/,
  ],
  [
    'the upcall is not raised',
    { upcall: () => new Upcall() },
    'port accesses of 1 bytes, aligned or not, are one request each',
    /made a request without raising the upcall/,
  ],
  [
    'the completion hypercall wakes no vCPU',
    { hypercalls: () => ({ notifyRequestFinish: () => 0 }) },
    'a parked vCPU goes on as soon as the hypercall says that its request is complete',
    /hypercalls took \d+ ms to wake the vCPU/,
  ],
  [
    'the completion hypercall frees the slot whatever is in it',
    {
      hypercalls: (vm, buffer) => ({
        notifyRequestFinish: (vcpu) => {
          buffer.slot(vcpu).stampFree();
          return vm.notifyRequestFinish(vcpu);
        },
      }),
    },
    'a hypercall for a request that is not complete leaves it as it is',
    /after a hypercall while PENDING/,
  ],
  [
    'a vCPU that should poll does not say so',
    { config: (config) => ({ ...config, completionPolling: false }) },
    'a vCPU that polls says so in its slot and goes on without a hypercall',
    /the polling flag of a VM that polls: false, expected true/,
  ],
  [
    'a vCPU polls although it should not',
    { config: (config) => ({ ...config, completionPolling: true }) },
    'a parked vCPU goes on as soon as the hypercall says that its request is complete',
    /the polling flag of a VM that does not poll: true/,
  ],
  [
    'interrupts are lost',
    { hypercalls: () => ({ setIrqLine: () => 0 }) },
    'a raised line wakes a halted guest, each time',
    /made no request within/,
  ],
  [
    'an interrupt ends the request that is pending',
    {
      hypercalls: (vm, buffer) => ({
        setIrqLine: (line, operation) => {
          if (buffer.slot(0).state === IoRequestState.PENDING) buffer.slot(0).stampFree();
          return vm.setIrqLine(line, operation);
        },
      }),
    },
    'an interrupt while a request is pending leaves the request, and is taken afterwards',
    // The vCPU may have made its next request before the suite looks.
    /after an interrupt while PENDING|request of vCPU 0: out 0x700\/1 = 0x1, expected out 0x700\/4/,
  ],
  [
    'a reset leaves the request in its slot',
    {
      hypercalls: (vm, buffer) => ({
        resetVm: async () => {
          const result = await vm.resetVm();
          buffer.slot(0).fill(0, 0, 0x550, 0, 1, 0, 0, false);
          return result;
        },
      }),
    },
    'a reset while a request is PENDING withdraws it, and the guest begins again',
    /slot 0 after a reset: 0, expected 3/,
  ],
  [
    'a reset of a VM that runs is accepted',
    {
      hypercalls: (vm) => ({
        resetVm: async () => {
          await vm.pauseVm();
          return vm.resetVm();
        },
      }),
    },
    'hypercalls are refused in the states that ACRN refuses them in',
    /a VM that is CREATED was reset/,
  ],
  [
    'a pause does not stop the guest',
    { hypercalls: () => ({ pauseVm: () => Promise.resolve(0) }) },
    'a VM is destroyed while a request is PENDING',
    /destroyVm: -1, expected 0/,
  ],
  [
    'a pause does not come to its end',
    { hypercalls: () => ({ pauseVm: () => new Promise<number>(() => undefined) }) },
    'a VM is destroyed while a request is PROCESSING',
    /pauseVm: not within 1500 ms/,
  ],
  [
    'a destroyed VM leaves its thread running',
    {
      hypercalls: (vm) => ({
        destroyVm: async () => {
          const result = await vm.destroyVm();
          vm.shared.setVcpuState(0, VcpuState.RUNNING);
          return result;
        },
      }),
    },
    'a VM is destroyed while a request is PENDING',
    /the state of vCPU 0 of a destroyed VM: 1, expected 2/,
  ],
  [
    'the end of a guest is reported twice',
    {
      onEvent: (onEvent) => (event) => {
        onEvent(event);
        onEvent(event);
      },
    },
    'a guest that ends is one event, and a reset starts it again',
    /events: \[halted 0, halted 0\], expected \[halted 0\]/,
  ],
  [
    'PCI interception is left out',
    { config: (config) => ({ ...config, interceptPci: false }) },
    'with PCI interception the hypervisor answers what ACRN answers, and forwards the rest',
    /: in 0xcf8\/4, expected out 0x700\/4/,
  ],
  [
    'an access that leaves a range of the hypervisor is forwarded',
    { config: (config) => ({ ...config, interceptPci: false }) },
    'an access that leaves a range of the hypervisor is a #GP for the guest',
    /: load 0xdffffffe\/4, expected out 0x700\/1 = 0x2/,
  ],
  [
    'vCPUs use each other’s slots',
    { scripts: (scripts) => scripts.reverse() },
    '3 vCPUs: each alone while the others wait, all together, and after a reset',
    /request of vCPU 0: out 0x602\/1 = 0x2, expected out 0x600\/1 = 0x0/,
  ],
  [
    'a VM with too many vCPUs is created',
    { config: (config) => ({ ...config, vcpuCount: 1 }) },
    'more than 16 vCPUs are refused with VM_LIMIT',
    /was created, expected VM_LIMIT/,
  ],
];

/** Ends the VMs of a case that failed: it may have left them running. */
async function endAll(vms: readonly Hypercalls[]): Promise<void> {
  for (const vm of vms) {
    await vm.pauseVm();
    await vm.destroyVm();
  }
}

for (const [name, defect, caseName, error] of DEFECTS)
  test(`the suite fails a hypervisor: ${name}`, async (t) => {
    const vms: Hypercalls[] = [];
    t.after(() => endAll(vms));
    const found = hypervisorSuite(broken(defect, vms)).find((one) => one.name === caseName);
    assert.ok(found, `the suite has no case "${caseName}"`);
    await assert.rejects(found.run(), (reason: unknown) => {
      assert.ok(reason instanceof ConformanceError, String(reason));
      assert.match(reason.message, error);
      return true;
    });
  });

for (const caseName of [
  'a raised line wakes a halted guest, each time',
  'an access while the slot is not FREE is a #GP for the guest, and leaves the slot alone',
])
  test(`a vCPU that takes its results late passes: ${caseName}`, async (t) => {
    const vms: Hypercalls[] = [];
    t.after(() => endAll(vms));
    const hypercalls: Defect['hypercalls'] = (vm) => ({
      notifyRequestFinish: (vcpu) => {
        setTimeout(() => vm.notifyRequestFinish(vcpu), 2 * QUIET_MS);
        return 0;
      },
    });
    const under = { ...broken({ hypercalls }, vms), limitMs: 20_000 };
    assert.equal(
      await hypervisorSuite(under)
        .find(({ name }) => name === caseName)
        ?.run(),
      undefined,
    );
  });

test('a case is skipped with the hypervisor’s own reason', async () => {
  const few = (): never => assert.fail('it is not to be created');
  const cases = hypervisorSuite({
    ...SCRIPTED,
    create: (programs) => {
      if (programs.length > 0) return new ScriptedHypervisor(programs.map(scriptOf));
      return few();
    },
    skip: { 'a line that does not exist is refused': 'known' },
    cannot: (step) => (step.op === 'ins' ? 'there is no INS' : undefined),
  });
  const outcome = (name: string) => cases.find((one) => one.name === name)?.run();
  assert.equal(await outcome('a string IN of 1-byte elements reads each in order'), 'there is no INS');
  assert.equal(await outcome('a line that does not exist is refused'), 'known');
  assert.equal(await outcome('a string OUT of 1-byte elements writes each in order'), undefined);
});

test('a hypervisor that does not run here fails, or is skipped where it may be absent', async () => {
  const absent: HypervisorUnderTest = {
    name: 'absent',
    create: () => ({
      name: 'absent',
      available: () => Promise.resolve({ available: false, reason: 'no such processor', remedy: 'buy one' }),
      createVm: () => Promise.reject(new Error('it is not to be asked')),
    }),
  };
  const run = (under: HypervisorUnderTest) => hypervisorSuite(under)[0]?.run();
  await assert.rejects(run(absent) ?? Promise.resolve(), /does not run here: no such processor/);
  assert.equal(await run({ ...absent, mayBeAbsent: true }), 'no such processor');
});

test('vCPUs that a hypervisor has promised may not be refused', async () => {
  const few: HypervisorUnderTest = {
    ...SCRIPTED,
    create: (programs) => {
      const inner = new ScriptedHypervisor(programs.map(scriptOf));
      return {
        name: 'few',
        available: () => inner.available(),
        createVm: (config, ...rest) =>
          config.vcpuCount > 2
            ? Promise.reject(new UpcallError('VM_LIMIT', `${config.vcpuCount} vCPUs: two at most`))
            : inner.createVm(config, ...rest),
      };
    },
  };
  const run = (under: HypervisorUnderTest, count: string) =>
    hypervisorSuite(under)
      .find(({ name }) => name.startsWith(`${count}: each alone`))
      ?.run();
  await assert.rejects(run(few, '3 vCPUs') ?? Promise.resolve(), { code: 'VM_LIMIT' });
  assert.equal(await run({ ...few, maxVcpus: 2 }, '3 vCPUs'), '3 vCPUs: two at most');
  assert.equal(await run({ ...few, maxVcpus: 2 }, '2 vCPUs'), undefined);
});

test('a new VM that is wrong is ended', async () => {
  const vms: Hypercalls[] = [];
  const under = broken({ hypercalls: () => ({ setIoreqBuffer: () => -1 }) }, vms);
  await assert.rejects(hypervisorSuite(under)[0]?.run() ?? Promise.resolve(), /^ConformanceError: setIoreqBuffer: -1/);
  assert.deepEqual(
    vms.map(({ shared }) => shared.vmState),
    [VmState.POWERED_OFF],
  );
});

test('a case that is to be skipped must exist', () => {
  assert.throws(() => hypervisorSuite({ ...SCRIPTED, skip: { misspelt: 'why' } }), /the suite has no case "misspelt"/);
});

test('a registered case hands its reason to the test runner', async () => {
  const reasons: (string | undefined)[] = [];
  const runs: Promise<void>[] = [];
  const skip = { 'a line that does not exist is refused': 'known' };
  runHypervisorSuite({ ...SCRIPTED, skip }, (name, run) => {
    if (name === 'scripted: a line that does not exist is refused')
      runs.push(run({ skip: (reason) => reasons.push(reason) }));
  });
  await Promise.all(runs);
  assert.deepEqual(reasons, ['known']);
});
