/**
 * The CPUID of a vCPU: what the kernel supports, with the vCPU's own APIC ID. The kernel leaves two
 * features to its callers: that there is a hypervisor, without which no system looks for KVM's
 * clock, and the deadline mode of the local APIC's timer.
 *
 * Called by: KvmMachine, before each vCPU runs; state-version.ts.
 *
 * Sources: Intel SDM, volume 2, CPUID; struct kvm_cpuid2 and kvm_cpuid_entry2.
 */

import { CAP_TSC_DEADLINE_TIMER, Request } from './kvm-abi.js';
import type { Kernel } from './kernel.js';

const MAX_ENTRIES = 256;
const HEAD_BYTES = 8;
const ENTRY_BYTES = 40;
// Offsets in an entry.
const FUNCTION = 0;
const INDEX = 4;
const EAX = 12;
const EBX = 16;
const ECX = 20;
const EDX = 24;

/** Feature information. EBX: the initial APIC ID in the highest byte, then the count of IDs. */
const FEATURES = 1;
/** Of its ECX. */
const DEADLINE_TIMER = 1 << 24;
const HYPERVISOR = 1 << 31;
/** The two kinds of extended topology. EDX: the whole APIC ID. */
const TOPOLOGY = [0xb, 0x1f];

/** What guests get of the kernel, as struct kvm_cpuid2. `kvm`: the descriptor of /dev/kvm. */
export function supportedCpuid(kernel: Kernel, kvm: number): Uint8Array<ArrayBuffer> {
  const cpuid = new Uint8Array(HEAD_BYTES + MAX_ENTRIES * ENTRY_BYTES);
  new DataView(cpuid.buffer).setUint32(0, MAX_ENTRIES, true);
  kernel.call(kvm, Request.GET_SUPPORTED_CPUID, cpuid);
  const hasDeadline = kernel.call(kvm, Request.CHECK_EXTENSION, CAP_TSC_DEADLINE_TIMER) > 0;
  const features = HYPERVISOR | (hasDeadline ? DEADLINE_TIMER : 0);
  const view = new DataView(cpuid.buffer);
  for (const entry of entries(view))
    if (view.getUint32(entry + FUNCTION, true) === FEATURES)
      view.setUint32(entry + ECX, (view.getUint32(entry + ECX, true) | features) >>> 0, true);
  return cpuid;
}

/** A copy of `supported` for the vCPU with APIC ID `vcpu` of `vcpuCount`. */
export function cpuidOf(supported: Uint8Array, vcpu: number, vcpuCount: number): Uint8Array {
  const cpuid = Uint8Array.from(supported);
  const view = new DataView(cpuid.buffer);
  for (const entry of entries(view)) {
    const leaf = view.getUint32(entry + FUNCTION, true);
    if (leaf === FEATURES) {
      const ebx = view.getUint32(entry + EBX, true);
      view.setUint32(entry + EBX, ((vcpu << 24) | (vcpuCount << 16) | (ebx & 0xffff)) >>> 0, true);
    } else if (TOPOLOGY.includes(leaf)) view.setUint32(entry + EDX, vcpu, true);
  }
  return cpuid;
}

/** The offsets of the entries. */
function entries(view: DataView): readonly number[] {
  return Array.from({ length: view.getUint32(0, true) }, (_, index) => HEAD_BYTES + index * ENTRY_BYTES);
}

/** What CPUID answers for one leaf, or for a part of one. */
export interface CpuidLeaf {
  readonly leaf: number;
  readonly index: number;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

/** `cpuid`: struct kvm_cpuid2. */
export function cpuidLeaves(cpuid: Uint8Array<ArrayBuffer>): readonly CpuidLeaf[] {
  const view = new DataView(cpuid.buffer);
  return entries(view).map((entry) => {
    const word = (offset: number): number => view.getUint32(entry + offset, true);
    const [eax, ebx, ecx, edx] = [word(EAX), word(EBX), word(ECX), word(EDX)];
    return { leaf: word(FUNCTION), index: word(INDEX), eax, ebx, ecx, edx };
  });
}
