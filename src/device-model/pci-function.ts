/**
 * PciFunction: the interface of what answers PCI configuration requests at one bus, device and
 * function.
 *
 * Called by: PciBus (devices/pci/pci-bus.ts), for the default client and PciEcam;
 * pci/function-view.ts, for the operator.
 *
 * Configuration space has an interface of its own because it is not a range of addresses. A guest
 * writes the function's address to port 0xCF8 and accesses port 0xCFC. The HSM makes one request of
 * both (type 2, PCI configuration), and the default client finds the function.
 */

import type { AccessSize } from './device.js';
import type { RegisterMap } from './register-map.js';

export interface PciFunction {
  /** Names the function in messages. */
  readonly name: string;
  /**
   * `register`: 0 to 0xFFF, aligned to `size`. Unimplemented registers read as 0, as the PCI
   * specification requires. Bits of the result above `size` are dropped. On a throw the guest reads
   * all ones, and the VM emits `client-failed` for the client `default`, or `device-error` for
   * `pci-ecam`.
   */
  readConfig(register: number, size: AccessSize): number;
  /** `value` is unsigned and no wider than `size`. A throw is reported as that of a read. */
  writeConfig(register: number, size: AccessSize, value: number): void;
  /**
   * The register map of its data sheet. Offsets are those of configuration space. Default: none.
   */
  readonly registers?: RegisterMap;
  /**
   * The value that `readConfig` would return, without any effect. Returns undefined if it cannot be
   * known. Default: it never can.
   */
  peekConfig?(register: number, size: AccessSize): number | undefined;
  /** Restores the power-on state. Called when the VM is reset. Default: nothing to restore. */
  reset?(): void;
  /** These three as in Device (device.ts). */
  save?(): unknown;
  restore?(state: unknown): void;
  readonly stateVersion?: number;
}

/** A function's place: bus 0 to 255, device 0 to 31, function 0 to 7. */
export interface PciAddress {
  readonly bus: number;
  readonly device: number;
  readonly function: number;
}
