/**
 * VmPlan: what `ServiceVm.createVm` puts a User VM together from. The maker has checked the values
 * and filled in the defaults of options, except the name's, which needs the VM's ID.
 *
 * Made by: `ServiceVm.createUserVm`, from the operator's UserVmOptions (user-vm-options.ts says
 * what each option means); acrn-hsm/hsm-device.ts, from the argument of the ioctl CREATE_VM.
 */

import type { FaultPlan } from '../fault-injection/fault-rule.js';
import type { LatePolicy } from '../hsm/late-policy.js';
import type { AllocatePage } from '../hypervisor/hypervisor.js';
import type { LifeCycle, VmControls } from './life-cycle.js';
import type { Snapshot } from './snapshot/snapshot.js';
import type { UserVm } from './user-vm.js';

export interface VmPlan {
  /** Undefined: "vm" and the VM's ID. */
  readonly name: string | undefined;
  readonly memoryBytes: number;
  readonly vcpuCount: number;
  readonly completionPolling: boolean;
  readonly interceptPci: boolean;
  /** Infinity: no limit. */
  readonly clientTimeoutMs: number;
  readonly late: LatePolicy;
  /** Infinity: no limit. */
  readonly startTimeoutMs: number;
  readonly statistics: boolean;
  readonly faults: FaultPlan | undefined;
  readonly lateStacks: boolean;
  /**
   * Whether the VM gets upcall's own default client. False: ACRN userspace attaches one by ioctl.
   */
  readonly hasDefaultClient: boolean;
  /**
   * Creates the policy by which the VM starts, resets and ends (life-cycle.ts): upcall's own for an
   * operator's VM, or none of its own for a VM of ioctls, whose userspace decides each step.
   */
  readonly createLifeCycle: (vm: VmControls) => LifeCycle;
  /**
   * Puts the page of request slots at the address that ACRN userspace gave to CREATE_VM. Returns
   * false if that is not possible: the VM is then not created. Undefined: an operator's VM, whose
   * page no userspace sees.
   */
  readonly sharePage?: (page: Uint8Array<SharedArrayBuffer>) => boolean;
  /**
   * Allocates the memory of the pages that `sharePage` and the ioctls for rings share, if userspace
   * is another process, which can map only certain memory: the page of slots, and the rings
   * (VmConfig.allocatePage). Undefined: ordinary memory, which userspace in this process can share.
   */
  readonly allocatePage?: AllocatePage | undefined;
  /** What the VM goes on from. Undefined: it starts at power-on. */
  readonly snapshot?: Snapshot | undefined;
  /** Called before the VM's first event. */
  readonly onCreated?: (vm: UserVm) => void;
  /** Replaces the sleep between two checks of CLEAR (hsm/clear-wait.ts), for tests. */
  readonly sleep?: (ms: number) => Promise<void>;
}
