/**
 * Kernel: KVM's requests with their results checked. An error says which request failed, and why.
 *
 * Called by: the other files of this folder.
 */

import type { KvmCalls } from '../../host/kvm-calls.js';
import { host } from '../../host/current.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { requestName, type Request } from './kvm-abi.js';

export class Kernel {
  readonly calls: KvmCalls;

  /** Throws HYPERVISOR_UNAVAILABLE if the host has no KVM. */
  static async open(): Promise<Kernel> {
    const calls = await host.openKvm();
    if (calls === undefined)
      throw new UpcallError('HYPERVISOR_UNAVAILABLE', 'KVM is reached by the package koffi on Linux');
    return new Kernel(calls);
  }

  constructor(calls: KvmCalls) {
    this.calls = calls;
  }

  /** Returns the result. Throws with the name of the error. */
  call(descriptor: number, request: Request, argument: number | Uint8Array = 0): number {
    const result = this.calls.ioctl(descriptor, request, argument);
    if (result < 0) throw this.error(requestName(request), -result);
    return result;
  }

  /** New bytes of that number which the request has filled. */
  read(descriptor: number, request: Request, bytes: number): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(bytes);
    this.call(descriptor, request, result);
    return result;
  }

  error(what: string, errno: number): Error {
    return new Error(`${what} failed: ${this.calls.errorName(errno)}`);
  }
}
