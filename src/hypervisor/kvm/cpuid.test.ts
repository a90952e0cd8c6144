import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvmCalls } from '../../host/kvm-calls.js';
import { cpuidOf, supportedCpuid } from './cpuid.js';
import { Request } from './kvm-abi.js';
import { Kernel } from './kernel.js';

const KVM = 3;
/** Offsets of the first entry's registers. */
const [EBX, ECX] = [8 + 16, 8 + 20];
const [DEADLINE, HYPERVISOR] = [1 << 24, 1 << 31];

/** A kernel that supports leaf 1 with CMPXCHG16B. */
function kernel(hasDeadline: boolean): Kernel {
  const calls: Partial<KvmCalls> = {
    ioctl: (_, request, argument) => {
      if (request === Request.CHECK_EXTENSION) return argument === 72 && hasDeadline ? 1 : 0;
      const view = new DataView((argument as Uint8Array<ArrayBuffer>).buffer);
      view.setUint32(0, 1, true);
      view.setUint32(8, 1, true);
      view.setUint32(EBX, 0x1234_0800, true);
      view.setUint32(ECX, 1 << 13, true);
      return 0;
    },
  };
  return new Kernel(calls as KvmCalls);
}

for (const hasDeadline of [true, false])
  test(`a guest learns that there is a hypervisor${hasDeadline ? ', and of the deadline timer' : ''}`, () => {
    const cpuid = cpuidOf(supportedCpuid(kernel(hasDeadline), KVM), 3, 4);
    const view = new DataView(cpuid.buffer);
    assert.equal(view.getUint32(EBX, true), 0x0304_0800, 'its APIC ID, and the count of them');
    assert.equal(view.getInt32(ECX, true), (1 << 13) | HYPERVISOR | (hasDeadline ? DEADLINE : 0));
  });
