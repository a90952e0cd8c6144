/**
 * Messages for exits after which a vCPU cannot go on: the kernel could not run the guest.
 *
 * Called by: KvmVcpu.
 */

import { ExitReason } from './kvm-abi.js';
import type { KvmRun } from './kvm-run.js';

/** Kinds of internal errors. */
const INTERNAL_ERRORS = [
  '',
  'it cannot emulate an instruction of the guest',
  'an exception while it delivered another one',
  'it could not deliver an event',
  'an exit that it does not know',
];
/** What to do where KVM emulates the guest, and its emulator lacks what the guest uses. */
export const EMULATION_REMEDY = 'Use --hypervisor v86, or a machine whose KVM has VT-x or AMD-V';
/** The kind of one that says that an instruction cannot be emulated. */
export const EMULATION = 1;
/** Flags of a failed emulation: the bytes of the instruction follow. */
const HAS_BYTES = 1n;

/** `rip`: where the guest is. */
export function exitText(run: KvmRun, rip: bigint): string {
  const place = `at 0x${rip.toString(16)}`;
  const { reason } = run;
  if (reason === ExitReason.FAIL_ENTRY) {
    const { first, second } = run.exitWords;
    return `the processor refused to enter the guest ${place}: reason 0x${first.toString(16)} on CPU ${second}`;
  }
  if (reason === ExitReason.INTERNAL_ERROR) {
    const { kind, words } = run.internalError;
    const what = INTERNAL_ERRORS[kind] ?? `error ${kind}`;
    return `KVM cannot run the guest ${place}: ${what}${kind === EMULATION ? `${instruction(words)}. ${EMULATION_REMEDY}` : data(words)}`;
  }
  if (reason === ExitReason.UNKNOWN)
    return `KVM cannot run the guest ${place}: hardware exit 0x${run.exitWords.first.toString(16)}`;
  const name = Object.entries(ExitReason).find(([, value]) => value === reason)?.[0];
  return `KVM returned from the guest ${place} with exit ${name ?? reason}, which upcall does not handle`;
}

/** The words are flags, then the count of bytes with up to 15 bytes. */
function instruction(words: readonly bigint[]): string {
  const [flags = 0n, low = 0n, high = 0n] = words;
  if ((flags & HAS_BYTES) === 0n) return '';
  const count = Number(low & 0xffn);
  const all = (low | (high << 64n)) >> 8n;
  const bytes = Array.from({ length: Math.min(count, 15) }, (_, index) => Number((all >> BigInt(8 * index)) & 0xffn));
  return ` (${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')})`;
}

function data(words: readonly bigint[]): string {
  return words.length === 0 ? '' : ` (${words.map((word) => `0x${word.toString(16)}`).join(', ')})`;
}
