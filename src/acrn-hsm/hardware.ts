/**
 * Hardware: the hypercalls that need a real machine, as one function. They concern pass-through
 * devices, their interrupts, the host's MMIO and power states. upcall's hypervisors have no such
 * hardware, so `noHardware` refuses each with −1. The caller sees that as −EPERM, as from an ACRN
 * without the device. A program with a hypervisor on real hardware passes its own function
 * (HsmDeviceOptions.hardware).
 *
 * Called by: HsmFile, MemorySegments and platform-ioctls.ts.
 */

import { Errno } from '../io-request/errno.js';

export type HardwareCall =
  | 'set-ptdev-intr'
  | 'reset-ptdev-intr'
  | 'assign-pcidev'
  | 'deassign-pcidev'
  | 'assign-mmiodev'
  | 'deassign-mmiodev'
  | 'create-vdev'
  | 'destroy-vdev'
  | 'map-mmio'
  | 'unmap-mmio'
  | 'interrupt-monitor'
  | 'cpu-state';

/**
 * Returns 0 or more, or a negative error. `argument`: a copy of the ioctl's structure. For
 * `cpu-state` it is the result, to be filled in, and `command` selects it (platform-ioctls.ts). For
 * `interrupt-monitor` it is the page.
 */
export type Hardware = (call: HardwareCall, vmId: number, argument: Uint8Array, command?: bigint) => number;

export const noHardware: Hardware = () => Errno.EPERM;
