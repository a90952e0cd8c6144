/**
 * Whether KVM can be used here, and what is missing.
 *
 * Called by: KvmHypervisor.
 */

import { LinuxErrno } from '../../host/linux-errno.js';
import { host } from '../../host/current.js';
import type { Availability } from '../hypervisor.js';
import { API_VERSION, CAP_MAX_VCPUS, NEEDED_CAPABILITIES, Request } from './kvm-abi.js';
import type { Kernel } from './kernel.js';
import type { KvmCalls } from '../../host/kvm-calls.js';

type Unavailable = Extract<Availability, { readonly available: false }>;

const USE_V86 = 'or use --hypervisor v86, which runs wherever Node.js does';

export async function kvmAvailability(): Promise<Availability> {
  return availabilityOf(await host.openKvm());
}

/** `calls`: as from `Host.openKvm`. */
export function availabilityOf(calls: KvmCalls | undefined): Availability {
  if (calls === undefined)
    return no(
      'KVM belongs to Linux, and is reached by the package koffi, which is not installed',
      `On Linux run npm install koffi, ${USE_V86}`,
    );
  if (!calls.isX86) return no('upcall uses KVM on x86-64 processors only', `Use an x86-64 machine, ${USE_V86}`);
  const kvm = calls.open();
  if (kvm < 0) return whyNotOpen(calls, -kvm);
  try {
    return examine(calls, kvm);
  } finally {
    calls.close(kvm);
  }
}

/** The vCPUs that a VM of the kernel can have. `kvm`: the descriptor of /dev/kvm. */
export function maxVcpus(kernel: Kernel, kvm: number): number {
  return kernel.call(kvm, Request.CHECK_EXTENSION, CAP_MAX_VCPUS);
}

function examine(calls: KvmCalls, kvm: number): Availability {
  const version = calls.ioctl(kvm, Request.GET_API_VERSION, 0);
  if (version !== API_VERSION)
    return no(`KVM has API version ${version}, not ${API_VERSION}`, `Use another kernel, ${USE_V86}`);
  const missing = Object.entries(NEEDED_CAPABILITIES)
    .filter(([, number]) => calls.ioctl(kvm, Request.CHECK_EXTENSION, number) <= 0)
    .map(([name]) => name);
  if (missing.length > 0)
    return no(`this kernel's KVM lacks ${missing.join(', ')}`, `Use Linux 4.12 or later, ${USE_V86}`);
  const vcpus = calls.ioctl(kvm, Request.CHECK_EXTENSION, CAP_MAX_VCPUS);
  return { available: true, detail: `KVM, API version ${version}, at most ${vcpus} vCPUs` };
}

/** Why `open` has failed. */
export function whyNotOpen(calls: KvmCalls, errno: number): Unavailable {
  if (errno === LinuxErrno.ENOENT)
    return no(
      'there is no /dev/kvm',
      `Turn on virtualization in the firmware and load the module kvm_intel or kvm_amd; in a VM turn on nested virtualization, in a container pass --device /dev/kvm; ${USE_V86}`,
    );
  if (errno === LinuxErrno.EACCES || errno === LinuxErrno.EPERM)
    return no(
      'this user may not open /dev/kvm',
      `Join the group of /dev/kvm (sudo usermod -aG kvm $USER, then log in again), ${USE_V86}`,
    );
  const failed = `/dev/kvm cannot be opened: ${calls.errorName(errno)}`;
  if (errno === LinuxErrno.EMFILE || errno === LinuxErrno.ENFILE)
    return no(failed, `Close files or end other VMs, or raise the limit of open files (ulimit -n), ${USE_V86}`);
  return no(failed, `Ask the kernel's log (dmesg), ${USE_V86}`);
}

function no(reason: string, remedy: string): Unavailable {
  return { available: false, reason, remedy };
}
