/**
 * ACPI S5 (soft off) after a triple fault, as in ACRN: if the Service VM has set up the ring for VM
 * events, a triple fault becomes an ordinary power-off.
 *
 * Called by: the vCPU's run loop, through serveVcpu.
 * Threads: the vCPU's, which it blocks until the device model has answered.
 */

import { VmEventType } from './async-io-hypercalls.js';
import { GeneralProtection, VcpuStopped, type IoHandler } from './io-handler.js';
import type { Upcall } from './upcall.js';
import type { VmSharedState } from './vm-shared-state.js';

/** PM1A control register of an ACRN User VM, and the value for S5: SLP_EN with SLP_TYP 5. */
const PM1_CONTROL = 0x404;
const SLEEP_S5 = 0x3400;

/**
 * Sends the event, then writes the ACPI power register on the guest's behalf, so that the device
 * model sees a power-off. If the ring is full, the event is lost and the write is made all the
 * same. Returns false if there is no ring or the write cannot become a request: the caller then
 * reports the triple fault.
 */
export function powerOffAfterFault(handler: IoHandler, shared: VmSharedState, upcall: Upcall): boolean {
  const { asyncIo } = shared;
  if (!asyncIo.hasEventRing) return false;
  if (asyncIo.sendEvent(VmEventType.TRIPLE_FAULT)) upcall.raise();
  try {
    handler.portWrite(PM1_CONTROL, 2, SLEEP_S5);
  } catch (error) {
    // The device model does not see the power-off, and no guest is left to get the #GP.
    if (error instanceof GeneralProtection) return false;
    // The Service VM has paused, reset or destroyed the VM meanwhile: there is nothing to report.
    if (!(error instanceof VcpuStopped)) throw error;
  }
  return true;
}
