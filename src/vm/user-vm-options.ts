/** What a User VM is made with: the options, their limits, and the guest image that they name. */

import { checkFaultPlan } from '../fault-injection/fault-injection.js';
import type { FaultPlan } from '../fault-injection/fault-rule.js';
import { host } from '../host/current.js';
import { CLIENT_TIMEOUT_MS, LATE_POLICIES, type LatePolicy } from '../hsm/time-limit.js';
import { prepareGuestImage, type GuestImage, type GuestImageOptions } from '../hypervisor/boot/guest-image.js';
import { MAX_VCPUS } from '../hypervisor/hypervisor.js';
import { UpcallError } from '../io-request/upcall-error.js';

const MIB = 1024 * 1024;
export const DEFAULT_MEMORY_MIB = 64;
/** The embedded core's address space leaves MMIO above 3 GiB; more than 2 GiB nobody has tried. */
export const MAX_MEMORY_MIB = 2048;

/** For all devices of a VM that are made in threads of their own. */
export const DEVICE_START_MS = 20_000;

/** The Service VM's event loop does nothing else meanwhile. */
export const MAX_FIXED_SPIN_US = 10_000;

export interface UserVmOptions {
  /** For messages; "vm" and a number unless given. */
  readonly name?: string;
  /** 1…2048, default 64. */
  readonly memoryMiB?: number;
  /** 1…16 where the hypervisor can; default 1. */
  readonly vcpus?: number;
  /** A file, or bytes with what belongs to them. A VM without an image runs what its hypervisor has (scripts). */
  readonly image?: string | GuestImageOptions;
  /** For an image given as a file. */
  readonly cmdline?: string;
  /** vCPUs poll for completion instead of sleeping: quick, and a core is busy. */
  readonly completionPolling?: boolean;
  /** How long a client may take for a request, in ms (default 5000); Infinity for no limit. */
  readonly clientTimeoutMs?: number;
  /** How long `start` waits for devices that are made in threads of their own, in ms (default 20000); Infinity for no limit. */
  readonly startTimeoutMs?: number;
  /** What becomes of a request that takes longer: `all-ones` (default) takes its client out; `wait` only tells. */
  readonly late?: LatePolicy;
  /** Tells where a late device waits; makes every promise of the process slower. */
  readonly lateStacks?: boolean;
  /** As ACRN's hypervisor does, answer some PCI configuration accesses before they become requests; off unless given. */
  readonly interceptPci?: boolean;
  /** Counts requests and their latency. */
  readonly statistics?: boolean;
  /** Makes chosen requests and interrupts fail in chosen ways; see docs/fault-injection.md. */
  readonly faults?: FaultPlan;
}

/** The numbers of `options`, checked. Throws OPTION_INVALID and VM_LIMIT. */
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
    startTimeoutMs: checkTimeout(options.startTimeoutMs ?? DEVICE_START_MS, 'for the devices to be made'),
  };
}

/** How long a waiter looks, in microseconds. Throws OPTION_INVALID. */
export function checkSpinUs(spinUs: number): number {
  if (spinUs >= 0 && spinUs <= MAX_FIXED_SPIN_US) return spinUs;
  throw new UpcallError('OPTION_INVALID', `${spinUs} microseconds to look before sleeping`, {
    remedy: `Give a number from 0 to ${MAX_FIXED_SPIN_US}, or leave it out: then it follows what pays`,
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
  throw new UpcallError('OPTION_INVALID', `"${late}" says not what to do with a late client`, {
    remedy: `Give one of ${LATE_POLICIES.join(', ')}`,
  });
}

function checkVcpus(vcpus: number): number {
  if (Number.isInteger(vcpus) && vcpus >= 1 && vcpus <= MAX_VCPUS) return vcpus;
  throw new UpcallError('VM_LIMIT', `${vcpus} vCPUs`, {
    remedy: `A VM has 1 to ${MAX_VCPUS}: its page has so many slots`,
  });
}

/** The image that the options name, if any. Throws IMAGE_NOT_FOUND and what `prepareGuestImage` throws. */
export async function prepareImage(options: UserVmOptions, memoryBytes: number): Promise<GuestImage | undefined> {
  const { image, cmdline } = options;
  if (image === undefined) return undefined;
  const prepared = await prepareGuestImage(
    typeof image === 'string'
      ? { image: await readImage(image), ...(cmdline === undefined ? {} : { cmdline }) }
      : { ...image, ...(cmdline === undefined ? {} : { cmdline }) },
  );
  prepared.check(memoryBytes);
  return prepared;
}

/** Reads a guest image or one of its parts. Throws IMAGE_NOT_FOUND. */
export async function readImage(path: string): Promise<Uint8Array> {
  try {
    return await host.readFile(path);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UpcallError('IMAGE_NOT_FOUND', `cannot read ${path} (${reason})`, {
      remedy: 'Check the path and its permissions',
      cause: error,
    });
  }
}
