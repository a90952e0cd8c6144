/**
 * UserVmOptions: the options of `ServiceVm.createUserVm`, with the limits and the check of each.
 * The checked options are part of a VmPlan (vm-plan.ts).
 *
 * Called by: ServiceVm; acrn-hsm/ and the command line, for limits and defaults.
 */

import { checkFaultPlan } from '../fault-injection/fault-injection.js';
import type { FaultPlan } from '../fault-injection/fault-rule.js';
import { CLIENT_TIMEOUT_MS, LATE_POLICIES, type LatePolicy } from '../hsm/late-policy.js';
import type { GuestImageOptions } from '../hypervisor/boot/guest-image.js';
import { MAX_VCPUS } from '../hypervisor/hypervisor.js';
import { UpcallError } from '../io-request/upcall-error.js';

const MIB = 1024 * 1024;
export const DEFAULT_MEMORY_MIB = 64;
/** 2 GiB, as the v86 core takes at most (MAX_CORE_MEMORY in hypervisor/v86/core.ts). */
export const MAX_MEMORY_MIB = 2048;

/** Default limit for all devices of a VM in threads of their own to be created. */
export const DEVICE_START_MS = 20_000;

/** Limit of `spinUs`: the Service VM's event loop does nothing else while its worker spins. */
export const MAX_FIXED_SPIN_US = 10_000;

export interface UserVmOptions {
  /** For messages. Default: "vm" and its ID. */
  readonly name?: string;
  /** 1…2048. Default: 64. */
  readonly memoryMiB?: number;
  /** 1…16, where the hypervisor can. Default: 1. */
  readonly vcpus?: number;
  /**
   * A path, or bytes with their options. Without an image, the guest's program is in the hypervisor
   * (the scripts of `scripted`).
   */
  readonly image?: string | GuestImageOptions;
  /** The kernel command line. For an image given as bytes it replaces that of their options. */
  readonly cmdline?: string;
  /**
   * vCPUs poll for the answer instead of parking: faster, but keeps a processor of the host busy.
   * Default: false.
   */
  readonly completionPolling?: boolean;
  /** How long a client may take for a request, in ms; Infinity for no limit. Default: 5000. */
  readonly clientTimeoutMs?: number;
  /**
   * How long `start` waits for devices in threads of their own, in ms; Infinity for no limit.
   * Default: 20000.
   */
  readonly startTimeoutMs?: number;
  /**
   * What to do with a late request, one that exceeds `clientTimeoutMs`: `all-ones` (default)
   * removes its client, unless that is the default client, and the guest reads all ones. `wait`
   * only reports it (hsm/late-policy.ts).
   */
  readonly late?: LatePolicy;
  /**
   * Reports a late request with the place where its device waits. Slows down every promise.
   * Default: false.
   */
  readonly lateStacks?: boolean;
  /**
   * The hypervisor keeps PCI's address register, as ACRN's does: reads of port 0xCF8 are no
   * requests, and a write there opens 0xCFC…0xCFF for one access (hypervisor/pci-interception.ts).
   * Default: false.
   */
  readonly interceptPci?: boolean;
  /** Counts requests and their latency. Default: false. */
  readonly statistics?: boolean;
  /** Makes chosen requests and interrupts fail in chosen ways; see docs/fault-injection.md. */
  readonly faults?: FaultPlan;
}

/**
 * Options of `ServiceVm.restore`. The rest is in the snapshot. `image` and `cmdline` are for a
 * reset: without them a guest that resets its machine ends the VM.
 */
export type RestoreOptions = Omit<UserVmOptions, 'memoryMiB' | 'vcpus' | 'completionPolling' | 'interceptPci'>;

/**
 * Checks `options`. Returns those that are numbers or a policy, with their defaults. Throws
 * OPTION_INVALID and VM_LIMIT.
 */
export function checkUserVmOptions(options: UserVmOptions): {
  readonly memoryBytes: number;
  readonly vcpuCount: number;
  readonly clientTimeoutMs: number;
  readonly startTimeoutMs: number;
  readonly late: LatePolicy;
} {
  if (options.faults !== undefined) checkFaultPlan(options.faults);
  return {
    memoryBytes: checkMemory(options.memoryMiB ?? DEFAULT_MEMORY_MIB) * MIB,
    vcpuCount: checkVcpus(options.vcpus ?? 1),
    late: checkLate(options.late ?? 'all-ones'),
    clientTimeoutMs: checkTimeout(options.clientTimeoutMs ?? CLIENT_TIMEOUT_MS, 'for a client to answer'),
    startTimeoutMs: checkTimeout(options.startTimeoutMs ?? DEVICE_START_MS, 'for the devices to start'),
  };
}

/**
 * Returns the spin time in microseconds, undefined for adaptive. Throws OPTION_INVALID, also for
 * the option's former name.
 */
export function checkSpinUs(options: { readonly spinUs?: number }): number | undefined {
  if ('lookUs' in options)
    throw new UpcallError('OPTION_INVALID', 'lookUs was renamed to spinUs', { remedy: 'Write spinUs' });
  const { spinUs } = options;
  if (spinUs === undefined || (spinUs >= 0 && spinUs <= MAX_FIXED_SPIN_US)) return spinUs;
  throw new UpcallError('OPTION_INVALID', `spinUs ${spinUs}: expected microseconds from 0 to ${MAX_FIXED_SPIN_US}`, {
    remedy: 'Give a time, for example 50, or leave out spinUs: it adapts by itself',
  });
}

function checkMemory(memoryMiB: number): number {
  if (Number.isInteger(memoryMiB) && memoryMiB >= 1 && memoryMiB <= MAX_MEMORY_MIB) return memoryMiB;
  throw new UpcallError('OPTION_INVALID', `${memoryMiB} MiB of memory`, {
    remedy: `Give a whole number from 1 to ${MAX_MEMORY_MIB}`,
  });
}

function checkTimeout(timeoutMs: number, what: string): number {
  if (timeoutMs > 0) return timeoutMs;
  throw new UpcallError('OPTION_INVALID', `${timeoutMs} ms ${what}`, {
    remedy: 'Give a number above 0, or Infinity for no limit',
  });
}

function checkLate(late: LatePolicy): LatePolicy {
  if (LATE_POLICIES.includes(late)) return late;
  throw new UpcallError('OPTION_INVALID', `invalid late policy "${late}"`, {
    remedy: `Give one of ${LATE_POLICIES.join(', ')}`,
  });
}

function checkVcpus(vcpus: number): number {
  if (Number.isInteger(vcpus) && vcpus >= 1 && vcpus <= MAX_VCPUS) return vcpus;
  throw new UpcallError('VM_LIMIT', `${vcpus} vCPUs`, {
    remedy: `A VM has 1 to ${MAX_VCPUS}, one for each slot of its page`,
  });
}
