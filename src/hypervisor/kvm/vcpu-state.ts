/**
 * The state of a vCPU that is not in the guest, as the structures of the kernel. A vCPU at power-on
 * gives the state to which a reset brings it back. A processor without XSAVE has no XCRs.
 *
 * Called by: KvmMachine, in the Service VM's thread, while the vCPU is parked; saved-machine.ts and
 * state-version.ts, for what it consists of.
 *
 * The registers (MSRs) that are saved are those that the kernel lists and that could be set at
 * power-on. The time-stamp counter is one of them. Those of several vCPUs are read and set one
 * after the other, and the kernel takes values that are less than a second apart as one counter.
 */

import { Bytes, CAP_GET_MSR_FEATURES, CAP_XSAVE2, Request, requestName } from './kvm-abi.js';
import type { Kernel } from './kernel.js';

/** In the order in which they are set: the APIC's base before the APIC, what it runs last. */
const PARTS = {
  sregs: { get: Request.GET_SREGS, set: Request.SET_SREGS, bytes: Bytes.SREGS },
  regs: { get: Request.GET_REGS, set: Request.SET_REGS, bytes: Bytes.REGS },
  xcrs: { get: Request.GET_XCRS, set: Request.SET_XCRS, bytes: Bytes.XCRS },
  xsave: { get: Request.GET_XSAVE, set: Request.SET_XSAVE, bytes: Bytes.XSAVE },
  debug: { get: Request.GET_DEBUGREGS, set: Request.SET_DEBUGREGS, bytes: Bytes.DEBUGREGS },
  lapic: { get: Request.GET_LAPIC, set: Request.SET_LAPIC, bytes: Bytes.LAPIC },
  mpState: { get: Request.GET_MP_STATE, set: Request.SET_MP_STATE, bytes: Bytes.MP_STATE },
  events: { get: Request.GET_VCPU_EVENTS, set: Request.SET_VCPU_EVENTS, bytes: Bytes.VCPU_EVENTS },
} as const;
export type PartName = keyof typeof PARTS;
export const PART_NAMES = Object.keys(PARTS) as PartName[];

/** Offsets in kvm_sregs. */
const Control = { CR4: 248, EFER: 264 } as const;
const CR4_VMXE = 1n << 13n;
const EFER_SVME = 1n << 12n;

const MAX_MSRS = 1024;
const INDEX_LIST_HEAD = 4;
/** struct kvm_msrs: the count and padding. Then each index with padding, and its value. */
const MSRS_HEAD = 8;
const MSR_BYTES = 16;

export interface VcpuState {
  readonly parts: Readonly<Record<PartName, Uint8Array<ArrayBuffer>>>;
  /** struct kvm_msrs. */
  readonly msrs: Uint8Array<ArrayBuffer>;
}

/** What the kernel has to say of the states of its vCPUs. */
export interface StateForm {
  readonly msrIndices: readonly number[];
  /** Of the state of the FPU and what came after it. */
  readonly xsaveBytes: number;
}

/** `kvm`: the descriptor of /dev/kvm. Throws with errno. */
export function stateForm(kernel: Kernel, kvm: number): StateForm {
  const extended = kernel.call(kvm, Request.CHECK_EXTENSION, CAP_XSAVE2);
  return { msrIndices: msrIndices(kernel, kvm), xsaveBytes: Math.max(extended, Bytes.XSAVE) };
}

/**
 * The registers that say what a vCPU can do. The kernel refuses other values for them once the vCPU
 * has run, so that a reset could not bring them back. `kvm`: as above. Throws with errno.
 */
export function fixedRegisters(kernel: Kernel, kvm: number): ReadonlySet<number> {
  if (kernel.calls.ioctl(kvm, Request.CHECK_EXTENSION, CAP_GET_MSR_FEATURES) <= 0) return new Set();
  return new Set(msrIndices(kernel, kvm, Request.GET_MSR_FEATURE_INDEX_LIST));
}

/** Throws with errno. */
export function takePowerOn(kernel: Kernel, vcpu: number, { msrIndices, xsaveBytes }: StateForm): VcpuState {
  // A register that the kernel lists need not exist for this guest: those are left out.
  const settable = msrIndices.filter((index) => {
    const one = msrsOf([index]);
    return (
      kernel.calls.ioctl(vcpu, Request.GET_MSRS, one) === 1 && kernel.calls.ioctl(vcpu, Request.SET_MSRS, one) === 1
    );
  });
  return take(kernel, vcpu, msrsOf(settable), xsaveBytes);
}

/** `powerOn`: of the same vCPU. Throws with errno. */
export function takeState(kernel: Kernel, vcpu: number, powerOn: VcpuState): VcpuState {
  return take(kernel, vcpu, powerOn.msrs, powerOn.parts.xsave.length);
}

/** Throws with errno, or with the register that was refused. */
export function putState(kernel: Kernel, vcpu: number, { parts, msrs }: VcpuState): void {
  for (const name of PART_NAMES) {
    // The structure begins with their number. The kernel refuses to set none.
    const hasNone = name === 'xcrs' && new DataView(parts.xcrs.buffer).getUint32(0, true) === 0;
    if (!hasNone) kernel.call(vcpu, PARTS[name].set, parts[name]);
  }
  expectAll(kernel, vcpu, Request.SET_MSRS, msrs);
}

/** Whether the guest has turned on virtualization: then the kernel may have more of its state. */
export function canHaveVms({ parts }: VcpuState): boolean {
  const sregs = new DataView(parts.sregs.buffer);
  return (
    (sregs.getBigUint64(Control.CR4, true) & CR4_VMXE) !== 0n ||
    (sregs.getBigUint64(Control.EFER, true) & EFER_SVME) !== 0n
  );
}

/**
 * Whether both have values of the same registers, and the same values of those that are `fixed`.
 * Each is a struct kvm_msrs.
 */
export function haveSameRegisters(
  one: Uint8Array<ArrayBuffer>,
  other: Uint8Array<ArrayBuffer>,
  fixed: ReadonlySet<number>,
): boolean {
  const [a, b] = [new DataView(one.buffer), new DataView(other.buffer)];
  if (one.length !== other.length || a.getUint32(0, true) !== b.getUint32(0, true)) return false;
  for (let at = MSRS_HEAD; at < one.length; at += MSR_BYTES) {
    if (a.getBigUint64(at, true) !== b.getBigUint64(at, true)) return false;
    const isFixed = fixed.has(a.getUint32(at, true));
    if (isFixed && a.getBigUint64(at + 8, true) !== b.getBigUint64(at + 8, true)) return false;
  }
  return true;
}

/** `registers`: struct kvm_msrs with those to take. */
function take(kernel: Kernel, vcpu: number, registers: Uint8Array, xsaveBytes: number): VcpuState {
  // First, as an INIT or SIPI that has arrived changes other registers at this request.
  const parts: Partial<Record<PartName, Uint8Array<ArrayBuffer>>> = {
    mpState: kernel.read(vcpu, Request.GET_MP_STATE, Bytes.MP_STATE),
    xsave: kernel.read(vcpu, xsaveBytes > Bytes.XSAVE ? Request.GET_XSAVE2 : Request.GET_XSAVE, xsaveBytes),
  };
  for (const name of PART_NAMES) parts[name] ??= kernel.read(vcpu, PARTS[name].get, PARTS[name].bytes);
  const msrs = Uint8Array.from(registers);
  expectAll(kernel, vcpu, Request.GET_MSRS, msrs);
  return { parts: parts as VcpuState['parts'], msrs };
}

function expectAll(kernel: Kernel, vcpu: number, request: Request, msrs: Uint8Array<ArrayBuffer>): void {
  const count = (msrs.length - MSRS_HEAD) / MSR_BYTES;
  const done = kernel.call(vcpu, request, msrs);
  if (done === count) return;
  const index = new DataView(msrs.buffer).getUint32(MSRS_HEAD + done * MSR_BYTES, true);
  throw new Error(`${requestName(request)} refused register 0x${index.toString(16)}`);
}

/** The model-specific registers that the kernel saves, or those that another request lists. */
function msrIndices(kernel: Kernel, kvm: number, request: Request = Request.GET_MSR_INDEX_LIST): readonly number[] {
  const list = new Uint8Array(INDEX_LIST_HEAD + 4 * MAX_MSRS);
  const view = new DataView(list.buffer);
  view.setUint32(0, MAX_MSRS, true);
  kernel.call(kvm, request, list);
  return Array.from({ length: view.getUint32(0, true) }, (_, at) => view.getUint32(INDEX_LIST_HEAD + 4 * at, true));
}

/** A struct kvm_msrs with these registers, all 0. */
function msrsOf(indices: readonly number[]): Uint8Array<ArrayBuffer> {
  const msrs = new Uint8Array(MSRS_HEAD + MSR_BYTES * indices.length);
  const view = new DataView(msrs.buffer);
  view.setUint32(0, indices.length, true);
  indices.forEach((index, at) => view.setUint32(MSRS_HEAD + MSR_BYTES * at, index, true));
  return msrs;
}
