/**
 * Hardware: the hypercalls that need a real machine: pass-through devices, their interrupts, the
 * host's MMIO, power states. upcall's hypervisors have no such hardware, so each is refused with
 * −1, which the caller sees as EPERM, as from an ACRN without the device. A hypervisor with
 * hardware brings its own.
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
 * `argument` is the caller's structure (for `cpu-state` what is to be filled in); `command` only
 * for `cpu-state`.
 */
export type Hardware = (call: HardwareCall, vmId: number, argument: Uint8Array, command?: bigint) => number;

export const noHardware: Hardware = () => Errno.EPERM;
