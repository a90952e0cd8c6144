import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvmCalls } from '../../host/kvm-calls.js';
import { Request } from './kvm-abi.js';
import { Kernel } from './kernel.js';
import { putState, takeState } from './vcpu-state.js';

const VCPU = 5;

/** `refused`: the request that returns this −errno. Others are noted. */
function kernel(refused: Request, error: number) {
  const requests: number[] = [];
  const calls: Partial<KvmCalls> = {
    errorName: (errno) => `errno ${errno}`,
    ioctl: (_, request) => {
      if (request === refused) return error;
      requests.push(request);
      return 0;
    },
  };
  return { kernel: new Kernel(calls as KvmCalls), requests };
}

test('a processor without XSAVE has a state without XCRs', () => {
  const { kernel: withoutXsave, requests } = kernel(Request.GET_XCRS, -22);
  const state = takeState(withoutXsave, VCPU, []);
  putState(withoutXsave, VCPU, state);
  assert.ok(requests.includes(Request.SET_SREGS));
  assert.ok(!requests.includes(Request.SET_XCRS));
});

test('any other failure is an error with the name of the request', () => {
  for (const [refused, error] of [
    [Request.GET_XCRS, -12],
    [Request.GET_FPU, -22],
  ] as const)
    assert.throws(() => takeState(kernel(refused, error).kernel, VCPU, []), /KVM_GET_(XCRS|FPU) failed: errno/);
});
