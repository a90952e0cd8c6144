/**
 * VmPlan: everything that ServiceVm needs to put a User VM together, checked and without defaults.
 * There are two ways to one: `createUserVm` makes it from its operator's options, /dev/acrn_hsm
 * from the argument of CREATE_VM.
 */

import type { FaultPlan } from '../fault-injection/fault-rule.js';
import type { LatePolicy } from '../hsm/late-policy.js';
import type { LifeCycle, LifeCycleParts } from './life-cycle.js';
import type { UserVm } from './user-vm.js';

export interface VmPlan {
  /** Undefined: "vm" and its ID. */
  readonly name: string | undefined;
  readonly memoryBytes: number;
  readonly vcpuCount: number;
  readonly completionPolling: boolean;
  readonly interceptPci: boolean;
  /** Infinity: no limit. */
  readonly clientTimeoutMs: number;
  readonly late: LatePolicy;
  readonly startTimeoutMs: number;
  readonly statistics: boolean;
  readonly faults: FaultPlan | undefined;
  readonly lateStacks: boolean;
  /** False: ACRN userspace attaches its own. */
  readonly hasDefaultClient: boolean;
  readonly createLifeCycle: (parts: LifeCycleParts) => LifeCycle;
  /**
   * Maps the page of slots into its owner's memory. Returns false if that cannot be: the VM is
   * refused.
   */
  readonly sharePage?: (page: Uint8Array<SharedArrayBuffer>) => boolean;
  /** Called before the VM's first event. */
  readonly onCreated?: (vm: UserVm) => void;
  /** CLEAR's sleep, for tests. */
  readonly sleep?: (ms: number) => Promise<void>;
}
