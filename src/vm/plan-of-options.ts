/**
 * planOf: the part of a VmPlan that an operator's options decide. ServiceVm puts a VM together from
 * such a plan.
 *
 * Called by: ServiceVm, to create a VM and to restore one.
 */

import type { checkUserVmOptions, UserVmOptions } from './user-vm-options.js';
import type { VmPlan } from './vm-plan.js';

/** `checked`: as `checkUserVmOptions` returns it. */
export function planOf(
  options: UserVmOptions,
  checked: ReturnType<typeof checkUserVmOptions>,
): Omit<VmPlan, 'createLifeCycle'> {
  return {
    name: options.name,
    ...checked,
    completionPolling: options.completionPolling ?? false,
    interceptPci: options.interceptPci ?? false,
    statistics: options.statistics ?? false,
    faults: options.faults,
    lateStacks: options.lateStacks ?? false,
    hasDefaultClient: true,
  };
}
