/**
 * The state of a vCPU that is not in the guest, as the structures of the kernel. A vCPU at power-on
 * gives the state to which a reset brings it back. A processor without XSAVE has no XCRs.
 *
 * Called by: KvmMachine, in the Service VM's thread, while the vCPU is parked.
 */

import { Bytes, Request } from './kvm-abi.js';
import type { Kernel } from './kernel.js';

interface Part {
  readonly get: Request;
  readonly set: Request;
  readonly bytes: number;
}

/** In the order in which they are set: the APIC's base before the APIC, what it runs last. */
const PARTS: readonly Part[] = [
  { get: Request.GET_SREGS, set: Request.SET_SREGS, bytes: Bytes.SREGS },
  { get: Request.GET_REGS, set: Request.SET_REGS, bytes: Bytes.REGS },
  { get: Request.GET_XCRS, set: Request.SET_XCRS, bytes: Bytes.XCRS },
  { get: Request.GET_FPU, set: Request.SET_FPU, bytes: Bytes.FPU },
  { get: Request.GET_DEBUGREGS, set: Request.SET_DEBUGREGS, bytes: Bytes.DEBUGREGS },
  { get: Request.GET_LAPIC, set: Request.SET_LAPIC, bytes: Bytes.LAPIC },
  { get: Request.GET_MP_STATE, set: Request.SET_MP_STATE, bytes: Bytes.MP_STATE },
  { get: Request.GET_VCPU_EVENTS, set: Request.SET_VCPU_EVENTS, bytes: Bytes.VCPU_EVENTS },
];

const MAX_MSRS = 1024;
const INDEX_LIST_HEAD = 4;
/** struct kvm_msrs: the count and padding. Then each index with padding, and its value. */
const MSRS_HEAD = 8;
const MSR_BYTES = 16;

export interface VcpuState {
  /** The structures with the requests that set them, in the order of PARTS. */
  readonly parts: readonly { readonly set: Request; readonly bytes: Uint8Array<ArrayBuffer> }[];
  /** struct kvm_msrs. */
  readonly msrs: Uint8Array<ArrayBuffer>;
}

/** Throws with errno. */
export function takeState(kernel: Kernel, vcpu: number, msrIndices: readonly number[]): VcpuState {
  const parts = PARTS.flatMap(({ get, set, bytes: length }) => {
    const bytes = kernel.read(vcpu, get, length);
    // The structure begins with their number. The kernel refuses to set none.
    const hasNone = get === Request.GET_XCRS && new DataView(bytes.buffer).getUint32(0, true) === 0;
    return hasNone ? [] : [{ set, bytes }];
  });
  // A register that the kernel lists need not exist for this guest: those are left out.
  const values = msrIndices.flatMap((index) => {
    const one = msrsOf([[index, 0n]]);
    const isSettable =
      kernel.calls.ioctl(vcpu, Request.GET_MSRS, one) === 1 && kernel.calls.ioctl(vcpu, Request.SET_MSRS, one) === 1;
    return isSettable ? [[index, new DataView(one.buffer).getBigUint64(MSRS_HEAD + 8, true)] as const] : [];
  });
  return { parts, msrs: msrsOf(values) };
}

/** Throws with errno, also if a register is refused that was settable at power-on. */
export function putState(kernel: Kernel, vcpu: number, { parts, msrs }: VcpuState): void {
  for (const { set, bytes } of parts) kernel.call(vcpu, set, bytes);
  const count = (msrs.length - MSRS_HEAD) / MSR_BYTES;
  const done = kernel.call(vcpu, Request.SET_MSRS, msrs);
  if (done === count) return;
  const index = new DataView(msrs.buffer).getUint32(MSRS_HEAD + done * MSR_BYTES, true);
  throw new Error(`KVM_SET_MSRS refused register 0x${index.toString(16)}`);
}

/** The model-specific registers that the kernel saves. `kvm`: the descriptor of /dev/kvm. */
export function msrIndices(kernel: Kernel, kvm: number): readonly number[] {
  const list = new Uint8Array(INDEX_LIST_HEAD + 4 * MAX_MSRS);
  const view = new DataView(list.buffer);
  view.setUint32(0, MAX_MSRS, true);
  kernel.call(kvm, Request.GET_MSR_INDEX_LIST, list);
  return Array.from({ length: view.getUint32(0, true) }, (_, at) => view.getUint32(INDEX_LIST_HEAD + 4 * at, true));
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
