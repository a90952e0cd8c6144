import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { KvmCalls } from '../../host/kvm-calls.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { SavedVcpu } from '../saved-vcpu.js';
import { Request } from './kvm-abi.js';
import { Kernel } from './kernel.js';
import { KvmMachine } from './kvm-machine.js';
import { readMachine, saveMachine, type MachineState } from './saved-machine.js';
import { stateVersion } from './state-version.js';
import { fixedRegisters, PART_NAMES, type PartName, type VcpuState } from './vcpu-state.js';
import { whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
const TSC = 0x10;
/** Registers that count the time: these two are Hyper-V's. */
const CLOCKS = [TSC, 0x4000_0010, 0x4000_0020];
/** More cycles than in a second. */
const SECOND = 5_000_000_000n;
const STAR = 0xc000_0081;
const MSRS_HEAD = 8;
const MSR_BYTES = 16;

/** Structures of a few bytes. */
function small(value: number): VcpuState {
  const parts = PART_NAMES.map((name, index) => [name, new Uint8Array(index + 1).fill(value)]);
  return {
    parts: Object.fromEntries(parts) as Record<PartName, Uint8Array<ArrayBuffer>>,
    msrs: msrsOf([
      [TSC, BigInt(value)],
      [STAR, 7n],
    ]),
  };
}

function msrsOf(values: readonly (readonly [index: number, value: bigint])[]): Uint8Array<ArrayBuffer> {
  const msrs = new Uint8Array(MSRS_HEAD + MSR_BYTES * values.length);
  const view = new DataView(msrs.buffer);
  view.setUint32(0, values.length, true);
  values.forEach(([index, value], at) => {
    view.setUint32(MSRS_HEAD + MSR_BYTES * at, index, true);
    view.setBigUint64(MSRS_HEAD + MSR_BYTES * at + 8, value, true);
  });
  return msrs;
}

const STATE: MachineState = {
  vcpus: [small(1), small(2)],
  chips: [0, 1, 2].map((chip) => new Uint8Array(520).fill(chip, 0, 1)),
  clock: new Uint8Array(48).fill(9),
  tscKhz: 2_000_000,
};
const POWER_ON = [small(0), small(0)];
const OTHERS = msrsOf([
  [TSC, 1n],
  [8, 7n],
]);
const NONE: ReadonlySet<number> = new Set();
/** As a file gives it. */
const SAVED = JSON.parse(JSON.stringify(saveMachine(STATE))) as readonly SavedVcpu[];

test('a machine is read as it was saved', () => {
  assert.deepEqual(readMachine(SAVED, POWER_ON, NONE), STATE);
});

const [first, second] = SAVED.map(({ state }) => state as Record<string, unknown>);
const machine = first?.['machine'] as Record<string, unknown>;
for (const [what, states, message] of [
  ['a vCPU too few', [first], /vCPU 1 is missing/],
  ['no object', [first, 7], /vCPU 1 is 7/],
  ['a structure too few', [first, { ...second, regs: undefined }], /vCPU 1 has regs missing/],
  ['a structure that is too short', [first, { ...second, regs: 'AA==' }], /regs "AA==": expected base64 of 2 bytes/],
  ['a structure that is no base64', [first, { ...second, xcrs: '!!!!' }], /xcrs "!!!!": expected base64 of 3 bytes/],
  ['other registers', [first, { ...second, msrs: textOf(OTHERS) }], /the registers of this/],
  ['another number of registers', [first, { ...second, msrs: '' }], /vCPU 1 has msrs ""/],
  ['no controllers', [{ ...first, machine: null }, second], /vCPU 0 is null/],
  ['one controller twice', [{ ...first, machine: { ...machine, ioApic: machine['first8259'] } }, second], /chip 2/],
  ['no rate', [{ ...first, machine: { ...machine, tscKhz: 0 } }, second], /tscKhz 0/],
] as const)
  test(`a saved state with ${what} is invalid`, () => {
    assert.throws(
      () =>
        readMachine(
          states.map((state) => ({ state })),
          POWER_ON,
          NONE,
        ),
      (error) => error instanceof UpcallError && error.code === 'SNAPSHOT_INVALID' && message.test(error.message),
    );
  });

test('registers that are fixed have to be as at power-on', () => {
  assert.deepEqual(readMachine(SAVED, POWER_ON, new Set([STAR])), STATE);
  assert.throws(() => readMachine(SAVED, POWER_ON, new Set([TSC])), /the registers of this processor/);
});

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

describe('the name of the form', () => {
  /** A kernel with these leaves: leaf, EAX, EBX, ECX, EDX. */
  function named(leaves: readonly (readonly number[])[], release = '6.1.0', msrs = [TSC]): Promise<string> {
    const calls: Partial<KvmCalls> = {
      release,
      ioctl: (_, request, argument) => {
        if (request === Request.CHECK_EXTENSION) return 0;
        const view = new DataView((argument as Uint8Array).buffer);
        const isCpuid = request === Request.GET_SUPPORTED_CPUID;
        view.setUint32(0, isCpuid ? leaves.length : msrs.length, true);
        if (isCpuid)
          leaves.forEach(([leaf = 0, ...words], at) => {
            view.setUint32(8 + 40 * at, leaf, true);
            words.forEach((word, index) => view.setUint32(8 + 40 * at + 12 + 4 * index, word, true));
          });
        else msrs.forEach((msr, at) => view.setUint32(4 + 4 * at, msr, true));
        return 0;
      },
    };
    return stateVersion(new Kernel(calls as KvmCalls), 1);
  }
  const AMD = [
    [0, 13, 0x6874_7541, 0x444d_4163, 0x6974_6e65],
    [1, 0x80_0f12, 5, 6, 7],
    [0xb, 1, 2, 3, 4],
  ];

  test('has the processor, the kernel, and what they can do', async () => {
    const name = await named(AMD);
    assert.match(name, /^form 1, AuthenticAMD 800f12, [0-9a-f]{16}, Linux 6\.1\.0$/);
    for (const other of [
      named(AMD, '6.1.1'),
      named(AMD, '6.1.0', [TSC, STAR]),
      named([AMD[0] ?? [], [1, 0x80_0f12, 5, 6, 8]]),
    ])
      assert.notEqual(await other, name);
  });

  test('is the same on each processor of the machine', async () => {
    const elsewhere = named([AMD[0] ?? [], [1, 0x80_0f12, 0x0300_0005, 6, 7], [0xb, 1, 2, 3, 9]]);
    assert.equal(await elsewhere, await named(AMD));
  });
});

test('each part of the state of two vCPUs is what it was', { skip }, async () => {
  const kernel = await Kernel.open();
  const config = { name: 'saved', memoryBytes: 1 << 20, vcpuCount: 2, completionPolling: false };
  const kvm = kernel.calls.open();
  const one = new KvmMachine(kernel, kvm, config);
  let other: KvmMachine | undefined;
  try {
    for (const vcpu of [0, 1]) change(kernel, one.handleOf(vcpu).descriptor, vcpu + 1);
    const saved = one.save();
    const states = [0, 1].map((vcpu) => saved[vcpu]?.state as Record<string, string>);
    other = new KvmMachine(kernel, kvm, { ...config, restored: saved });
    other.starting();
    const again = other.save().map(({ state }) => state as Record<string, string>);
    for (const vcpu of [0, 1]) {
      for (const name of PART_NAMES) assert.equal(again[vcpu]?.[name], states[vcpu]?.[name], `${name} of vCPU ${vcpu}`);
      const before = valuesOf(states[vcpu]?.['msrs'] ?? '');
      const after = valuesOf(again[vcpu]?.['msrs'] ?? '');
      assert.equal(before.get(STAR), BigInt(vcpu + 1) << 32n);
      const elapsed = (after.get(TSC) ?? 0n) - (before.get(TSC) ?? 0n);
      // The kernel makes one counter of both, so that of vCPU 1 goes on from that of vCPU 0.
      assert.ok(elapsed > -SECOND && elapsed < 60n * SECOND, `the counter goes on: ${elapsed}`);
      for (const clock of CLOCKS) for (const values of [before, after]) values.delete(clock);
      assert.deepEqual(after, before);
    }
    assert.notEqual(states[0]?.['regs'], states[1]?.['regs']);
    // A reset forgets it.
    other.reset();
    const reset = other.save()[1]?.state as Record<string, string>;
    assert.notEqual(reset['regs'], states[1]?.['regs']);
  } finally {
    other?.close(true);
    one.close(true);
    kernel.calls.close(kvm);
  }
});

test('a register that says what the processor can do is refused with another value', { skip }, async () => {
  const kernel = await Kernel.open();
  const config = { name: 'saved', memoryBytes: 1 << 20, vcpuCount: 1, completionPolling: false };
  const kvm = kernel.calls.open();
  const fixed = fixedRegisters(kernel, kvm);
  const machine = new KvmMachine(kernel, kvm, config);
  try {
    const [saved] = machine.save();
    const state = saved?.state as Record<string, string>;
    const msrs = Uint8Array.from(Buffer.from(state['msrs'] ?? '', 'base64'));
    const view = new DataView(msrs.buffer);
    let tried = 0;
    for (let at = MSRS_HEAD; at < msrs.length; at += MSR_BYTES) {
      if (!fixed.has(view.getUint32(at, true))) continue;
      const changed = Uint8Array.from(msrs);
      changed[at + 8] = (changed[at + 8] as number) ^ 1;
      const restored = [{ state: { ...state, msrs: textOf(changed) } }];
      assert.throws(() => new KvmMachine(kernel, kvm, { ...config, restored }), { code: 'SNAPSHOT_INVALID' });
      tried++;
    }
    assert.ok(tried > 0, 'this kernel has such registers');
  } finally {
    machine.close(true);
    kernel.calls.close(kvm);
  }
});

/** Gives each part of the vCPU's state other values than at power-on. */
function change(kernel: Kernel, vcpu: number, value: number): void {
  const set = (get: Request, put: Request, bytes: number, edit: (view: DataView) => void): void => {
    const part = kernel.read(vcpu, get, bytes);
    edit(new DataView(part.buffer));
    kernel.call(vcpu, put, part);
  };
  set(Request.GET_REGS, Request.SET_REGS, 144, (view) => view.setUint32(0, 0x1000 + value, true));
  // CR2; the base of DS.
  set(Request.GET_SREGS, Request.SET_SREGS, 312, (view) => {
    view.setUint32(232, value, true);
    view.setUint32(24, 0x100 * value, true);
  });
  // XMM1, which is in use by bit 1 of XSTATE_BV.
  set(Request.GET_XSAVE, Request.SET_XSAVE, 4096, (view) => {
    view.setUint32(176, value, true);
    view.setUint32(512, view.getUint32(512, true) | 2, true);
  });
  // DR0.
  set(Request.GET_DEBUGREGS, Request.SET_DEBUGREGS, 128, (view) => view.setUint32(0, value, true));
  // The entry of the timer, which is masked.
  set(Request.GET_LAPIC, Request.SET_LAPIC, 1024, (view) => view.setUint32(0x320, 0x1_00f0 + value, true));
  // Halted.
  set(Request.GET_MP_STATE, Request.SET_MP_STATE, 4, (view) => view.setUint32(0, 3, true));
  // NMIs are masked.
  set(Request.GET_VCPU_EVENTS, Request.SET_VCPU_EVENTS, 64, (view) => view.setUint8(14, 1));
  assert.equal(kernel.call(vcpu, Request.SET_MSRS, msrsOf([[STAR, BigInt(value) << 32n]])), 1);
}

function valuesOf(text: string): Map<number, bigint> {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
  const view = new DataView(bytes.buffer);
  return new Map(
    Array.from({ length: view.getUint32(0, true) }, (_, at) => [
      view.getUint32(MSRS_HEAD + MSR_BYTES * at, true),
      view.getBigUint64(MSRS_HEAD + MSR_BYTES * at + 8, true),
    ]),
  );
}
