import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvmCalls } from '../../host/kvm-calls.js';
import { Request } from './kvm-abi.js';
import { Kernel } from './kernel.js';
import { putState, takePowerOn } from './vcpu-state.js';

const VCPU = 5;

/** A kernel whose vCPU has `xcrs` XCRs, and that refuses to set none of them, as Linux does. */
function kernel(xcrs: number) {
  const requests: number[] = [];
  const calls: Partial<KvmCalls> = {
    errorName: (errno) => `errno ${errno}`,
    ioctl: (_, request, argument) => {
      requests.push(request);
      if (request === Request.GET_XCRS) (argument as Uint8Array)[0] = xcrs;
      return request === Request.SET_XCRS && xcrs === 0 ? -22 : 0;
    },
  };
  return { kernel: new Kernel(calls as KvmCalls), requests };
}

for (const xcrs of [0, 1])
  test(`the state of a processor with ${xcrs} XCRs is put back`, () => {
    const { kernel: given, requests } = kernel(xcrs);
    putState(given, VCPU, takePowerOn(given, VCPU, { msrIndices: [], xsaveBytes: 4096 }));
    assert.ok(requests.includes(Request.SET_SREGS));
    assert.equal(requests.includes(Request.SET_XCRS), xcrs > 0);
  });
