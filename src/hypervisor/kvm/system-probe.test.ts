import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvmCalls } from '../../host/kvm-calls.js';
import { EMULATION } from './exit-text.js';
import { ExitReason, Request, Retry } from './kvm-abi.js';
import { Kernel } from './kernel.js';
import { KvmHypervisor } from './kvm-hypervisor.js';
import { probeSystem } from './system-probe.js';
import { whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
const RUN_BYTES = 4096;
const [KVM, VM, VCPU] = [3, 4, 5];

/**
 * A kernel whose KVM_RUN ends in these ways, one after the other: −errno, or an exit with the kind
 * of its internal error. `opened`: the descriptors that are open.
 */
function kernel(ends: readonly (number | readonly [reason: number, kind?: number])[]) {
  const page = new SharedArrayBuffer(RUN_BYTES);
  const opened = new Set<number>();
  let runs = 0;
  const answers = new Map<number, (argument: number | Uint8Array) => number>([
    [Request.GET_VCPU_MMAP_SIZE, () => RUN_BYTES],
    [Request.CREATE_VM, () => (opened.add(VM), VM)],
    [Request.CREATE_VCPU, () => (opened.add(VCPU), VCPU)],
    [Request.GET_MSR_INDEX_LIST, (list) => ((list as Uint8Array).fill(0), 0)],
    [
      Request.RUN,
      () => {
        const end = ends[runs++] ?? -Retry.EINTR;
        if (typeof end === 'number') return end;
        const view = new DataView(page);
        view.setUint32(8, end[0], true);
        view.setUint32(32, end[1] ?? 0, true);
        return 0;
      },
    ],
  ]);
  const calls: Partial<KvmCalls> = {
    allocate: (bytes) => new SharedArrayBuffer(bytes),
    map: () => page,
    unmap: () => undefined,
    close: (descriptor) => void opened.delete(descriptor),
    setRegion: () => 0,
    errorName: (errno) => `errno ${errno}`,
    ioctl: (_, request, argument) => answers.get(request)?.(argument) ?? 0,
  };
  return { kernel: new Kernel(calls as KvmCalls), opened, runs: () => runs };
}

test('an instruction that KVM cannot emulate means that no operating system runs', () => {
  const { kernel: emulating, opened } = kernel([-Retry.EINTR, [ExitReason.INTERNAL_ERROR, EMULATION]]);
  const limitation = probeSystem(emulating, KVM);
  assert.match(limitation?.reason ?? '', /emulates the guest's kernel/);
  assert.match(limitation?.remedy ?? '', /--hypervisor v86/);
  assert.equal(opened.size, 0, 'all is closed again');
});

for (const [what, ends] of [
  ['an exit after the instruction', [[ExitReason.IO]]],
  ['another internal error', [[ExitReason.INTERNAL_ERROR, EMULATION + 1]]],
  ['a shutdown', [[ExitReason.SHUTDOWN]]],
  ['an error of KVM_RUN', [-14]],
  ['nothing but signals', []],
] as const)
  test(`${what} says nothing against operating systems`, () => {
    const { kernel: running, opened } = kernel(ends);
    assert.equal(probeSystem(running, KVM), undefined);
    assert.equal(opened.size, 0);
  });

test('a kernel that creates no VM says nothing against operating systems', () => {
  const calls: Partial<KvmCalls> = { ioctl: () => -12, errorName: () => 'ENOMEM' };
  assert.equal(probeSystem(new Kernel(calls as KvmCalls), KVM), undefined);
});

test("this machine's KVM gives an answer", { skip }, async (t) => {
  const limitation = await new KvmHypervisor().whyNoSystem();
  t.diagnostic(limitation?.reason ?? 'nothing is known against operating systems');
});
