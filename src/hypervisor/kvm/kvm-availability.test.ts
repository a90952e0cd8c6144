import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvmCalls } from '../../host/kvm-calls.js';
import { NEEDED_CAPABILITIES, Request } from './kvm-abi.js';
import { availabilityOf } from './kvm-availability.js';

const DESCRIPTOR = 7;
const closed: number[] = [];

/** A kernel that answers as given. `lacks`: numbers of capabilities. */
function kernel(given: {
  readonly isX86?: boolean;
  readonly open?: number;
  readonly version?: number;
  readonly lacks?: readonly number[];
}) {
  const { isX86 = true, open = DESCRIPTOR, version = 12, lacks = [] } = given;
  const calls: Partial<KvmCalls> = {
    isX86,
    open: () => open,
    close: (descriptor) => void closed.push(descriptor),
    errorName: (errno) => `errno ${errno}`,
    ioctl: (descriptor, request, argument) => {
      assert.equal(descriptor, DESCRIPTOR);
      if (request === Request.GET_API_VERSION) return version;
      return lacks.includes(argument as number) ? 0 : 16;
    },
  };
  return calls as KvmCalls;
}

for (const [what, calls, reason, remedy] of [
  ['without koffi', undefined, /koffi, which is not installed/, /npm install koffi/],
  ['on another processor', kernel({ isX86: false }), /x86-64 processors only/, /x86-64 machine/],
  ['without /dev/kvm', kernel({ open: -2 }), /no \/dev\/kvm/, /kvm_intel or kvm_amd/],
  ['without the right to open it', kernel({ open: -13 }), /may not open/, /usermod -aG kvm/],
  ['with another error', kernel({ open: -16 }), /cannot be opened: errno 16/, /dmesg/],
  ['without a free descriptor', kernel({ open: -24 }), /cannot be opened: errno 24/, /ulimit -n/],
  ['with another version', kernel({ version: 10 }), /API version 10, not 12/, /another kernel/],
  [
    'without a capability',
    kernel({ lacks: [NEEDED_CAPABILITIES.KVM_CAP_SIGNAL_MSI, NEEDED_CAPABILITIES.KVM_CAP_IMMEDIATE_EXIT] }),
    /lacks KVM_CAP_SIGNAL_MSI, KVM_CAP_IMMEDIATE_EXIT$/,
    /Linux 4\.12/,
  ],
] as const)
  test(`KVM ${what} is not available, with the reason and the remedy`, () => {
    const state = availabilityOf(calls);
    assert.ok(!state.available);
    assert.match(state.reason, reason);
    assert.match(state.remedy, remedy);
    assert.match(state.remedy, /or use --hypervisor v86/);
  });

test('KVM with all of it is available, and /dev/kvm is closed again', () => {
  closed.length = 0;
  assert.deepEqual(availabilityOf(kernel({})), { available: true, detail: 'KVM, API version 12, at most 16 vCPUs' });
  assert.deepEqual(closed, [DESCRIPTOR]);
});
