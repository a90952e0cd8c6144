/**
 * LifeCycle: the policy by which a User VM starts, pauses, resets and ends. There are two:
 * `VmLifeCycle` is upcall's own policy. `ManualLifeCycle` leaves every step to a program that uses
 * ACRN's ioctls (/dev/acrn_hsm, acrn-hsm/).
 *
 * Called by: UserVm, which passes on what its operator, its guest and its hypervisor ask for.
 * Threads: the Service VM's.
 */

import type { HypervisorServiceModule } from '../hsm/service-module.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import { HYPERCALL_REFUSED, type Hypercalls } from '../hypervisor/hypercalls.js';
import type { HypervisorEvent } from '../hypervisor/hypervisor.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { Snapshot } from './snapshot/snapshot.js';
import type { UserVmEvent, VmEnd } from './user-vm-events.js';

export interface LifeCycle {
  /** Resolves once, when the VM has ended. */
  readonly ended: Promise<VmEnd>;
  /** Whether the end has begun. From then on no client may be added. */
  readonly isEnding: boolean;
  /**
   * `start`, `pause` and `reset` reject with VM_STATE if the hypervisor refuses. `start` also
   * rejects as `VmControls.devicesReady` does.
   */
  start(): Promise<void>;
  pause(): Promise<void>;
  reset(): Promise<void>;
  /**
   * Does `work` while the VM runs, between two other steps. Rejects with VM_STATE if it does not
   * run.
   */
  whileRunning<Result>(what: string, work: () => Promise<Result>): Promise<Result>;
  /** Ends the VM. Later calls wait for the first one. */
  end(end: VmEnd): Promise<void>;
  /** A vCPU stopped by itself: it halted, faulted, or its thread ended. */
  onHypervisorEvent(event: HypervisorEvent): void;
  /** The guest powers off its machine through a device. The access is still in progress. */
  guestPowerOff(reason: string): void;
  /** The guest resets its machine through a device. The access is still in progress. */
  guestReset(reason: string): void;
}

/** The VM as its life cycle sees it: what the steps act on. UserVm implements it. */
export interface VmControls {
  /** The VM's name, for messages. */
  readonly name: string;
  readonly hypercalls: Hypercalls;
  readonly module: HypervisorServiceModule;
  readonly requests: VmRequests;
  readonly emit: (event: UserVmEvent) => void;
  /** Resolves when every device is created. Some are created in threads of their own. */
  readonly devicesReady: () => Promise<void>;
  readonly resetDevices: () => void;
  /** Before the first start of a restored VM. Throws SNAPSHOT_REFUSED and SNAPSHOT_INVALID. */
  readonly restoreDevices: (snapshot: Snapshot) => void;
  readonly closeDevices: () => void;
  /**
   * Called before every pause of the vCPUs. The state of the interrupts is kept, and the debugger
   * releases all requests that it holds and holds no more: a vCPU cannot pause while it waits for
   * an answer.
   */
  readonly onPausing: () => void;
  /**
   * Called at every start of the vCPUs. The fault plan begins, and the debugger may hold requests
   * again.
   */
  readonly onStarting: () => void;
  /** Sends ACRN's VM event POWER_OFF to the VM's userspace (hsm/acrn-vm-events.ts). */
  readonly sendPowerOff: () => void;
  /** Frees what belongs to the VM. Called once, just before `ended` resolves. */
  readonly onEnd: () => void;
}

/** Throws VM_STATE if `result`, that of a hypercall, is an error: VM `vm` cannot `what`, a verb. */
export function expectAccepted(vm: string, what: string, result: number): void {
  if (result >= 0) return;
  const remedy = 'A VM starts once, and again after a reset; a destroyed VM stays destroyed';
  throw stateError(vm, `cannot ${what} in its present state`, remedy, result);
}

export function stateError(vm: string, fact: string, remedy: string, errno: number = HYPERCALL_REFUSED): UpcallError {
  return new UpcallError('VM_STATE', `VM ${vm}: ${fact}`, { errno, remedy });
}
