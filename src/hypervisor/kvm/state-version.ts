/**
 * The name of the form of saved states: they are for one kind of processor and one kernel.
 *
 * Called by: KvmHypervisor.
 *
 * Sources: Intel SDM, volume 2, CPUID; struct kvm_cpuid2 and kvm_cpuid_entry2.
 */

import { cpuidLeaves, supportedCpuid } from './cpuid.js';
import type { Kernel } from './kernel.js';
import { stateForm } from './vcpu-state.js';

/** Counted up when what this folder saves changes. */
const FORM = 1;

/**
 * Leaves that say what a processor can do. Others name the processor on which they were read, or
 * its place in the machine.
 */
const CAPABILITIES = [1, 7, 0xd, 0x8000_0001, 0x8000_0007, 0x8000_0008, 0x8000_000a, 0x4000_0001];
const SHOWN_DIGITS = 16;

/** `kvm`: the descriptor of /dev/kvm. Throws with errno. */
export async function stateVersion(kernel: Kernel, kvm: number): Promise<string> {
  const leaves = cpuidLeaves(supportedCpuid(kernel, kvm));
  const [vendor, model] = [0, 1].map((wanted) => leaves.find(({ leaf }) => leaf === wanted));
  const name = [vendor?.ebx, vendor?.edx, vendor?.ecx].map((word) => textOf(word ?? 0)).join('');
  const signature = (model?.eax ?? 0).toString(16);
  const capabilities = leaves
    .filter(({ leaf }) => CAPABILITIES.includes(leaf))
    // EBX of leaf 1 has the number of the processor on which it was read.
    .map(({ leaf, index, eax, ebx, ecx, edx }) => [leaf, index, eax, leaf === 1 ? 0 : ebx, ecx, edx]);
  const facts = new TextEncoder().encode(JSON.stringify([capabilities, stateForm(kernel, kvm)]));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', facts));
  const digits = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `form ${FORM}, ${name} ${signature}, ${digits.slice(0, SHOWN_DIGITS)}, Linux ${kernel.calls.release}`;
}

/** Four characters. */
function textOf(word: number): string {
  return String.fromCharCode(...[0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff));
}
