/**
 * What a hypervisor under test can do, and how the cases that it cannot do are skipped: they throw
 * CannotDo.
 *
 * Called by: TestedVm and cases that create a hypervisor themselves.
 */

import { MAX_VCPUS, type Hypervisor } from '../../hypervisor/hypervisor.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { CannotDo, check } from './check.js';
import type { GuestProgram } from './guest-program.js';
import type { HypervisorUnderTest } from './hypervisor-under-test.js';

const DEFAULT_LIMIT_MS = 10_000;

/** How long a guest may take until its next request, and a hypercall until its result, in ms. */
export function limitOf({ limitMs = DEFAULT_LIMIT_MS }: HypervisorUnderTest): number {
  return limitMs;
}

/**
 * Returns a hypervisor that can run these programs here. Otherwise throws CannotDo with the reason.
 */
export async function hypervisorFor(
  under: HypervisorUnderTest,
  programs: readonly GuestProgram[],
): Promise<Hypervisor> {
  for (const step of programs.flatMap(({ steps }) => steps)) {
    const reason = under.cannot?.(step);
    if (reason !== undefined) throw new CannotDo(reason);
  }
  const hypervisor = await under.create(programs);
  const state = await hypervisor.available();
  if (!state.available) {
    check(under.mayBeAbsent === true, `the hypervisor does not run here: ${state.reason}`);
    throw new CannotDo(state.reason);
  }
  return hypervisor;
}

/**
 * Resolves like `vm`. If the VM is refused with VM_LIMIT because it has more vCPUs than the
 * hypervisor supports, throws CannotDo.
 */
export async function orCannot<T>(
  vm: Promise<T>,
  vcpuCount: number,
  { maxVcpus = MAX_VCPUS }: HypervisorUnderTest,
): Promise<T> {
  try {
    return await vm;
  } catch (error) {
    const isLimit = error instanceof UpcallError && error.code === 'VM_LIMIT';
    if (isLimit && vcpuCount > maxVcpus) throw new CannotDo(error.message);
    throw error;
  }
}
