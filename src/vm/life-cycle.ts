/**
 * LifeCycle: the policy by which a User VM starts, pauses, resets and ends. `VmLifeCycle` is
 * upcall's own policy. `ManualLifeCycle` leaves every step to a program that speaks ACRN's ioctls.
 *
 * Called by: UserVm, which is built with one of them.
 */

import type { HypervisorServiceModule } from '../hsm/service-module.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { HypervisorEvent } from '../hypervisor/hypervisor.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { UserVmEvent, VmEnd } from './user-vm-events.js';

export interface LifeCycle {
  /** Resolves once, when the VM has ended. */
  readonly ended: Promise<VmEnd>;
  /** The end has begun: no client may be added. */
  readonly isEnding: boolean;
  /** These three reject with VM_STATE when the hypervisor refuses. */
  start(): Promise<void>;
  pause(): Promise<void>;
  reset(): Promise<void>;
  /** Ends the VM. Later calls wait for the first one. */
  end(end: VmEnd): Promise<void>;
  /** A vCPU stopped without the Service VM's doing. */
  onHypervisorEvent(event: HypervisorEvent): void;
  /** The guest asks for it through a device, in the middle of an access. */
  guestPowerOff(reason: string): void;
  guestReset(reason: string): void;
}

/** The parts of the VM that its steps act on. */
export interface LifeCycleParts {
  readonly name: string;
  readonly hypercalls: Hypercalls;
  readonly module: HypervisorServiceModule;
  readonly requests: VmRequests;
  readonly emit: (event: UserVmEvent) => void;
  /** Resolves when every device exists. */
  readonly devicesReady: () => Promise<void>;
  readonly resetDevices: () => void;
  readonly closeDevices: () => void;
  /** The vCPUs are about to be paused, for whatever reason: no request may be held. */
  readonly pausing: () => void;
  /** The vCPUs are about to run. */
  readonly starting: () => void;
  /** Sends ACRN's VM event for a power-off. */
  readonly sendPowerOff: () => void;
  /** Frees what belongs to the VM; called once, just before `ended`. */
  readonly onEnd: () => void;
}

/** Throws VM_STATE when a hypercall was refused. */
export function expectAccepted(vm: string, what: string, result: number): void {
  if (result >= 0) return;
  throw new UpcallError('VM_STATE', `VM ${vm}: cannot ${what} in its present state`, {
    errno: result,
    remedy: 'A VM starts once, and again after a reset; a destroyed VM stays destroyed',
  });
}
