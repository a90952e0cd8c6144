/**
 * PciFunction: what answers PCI configuration requests at one bus, device and function. Configuration space has its own
 * interface because it is no range of addresses: the HSM makes a PCI request of a 0xCF8/0xCFC pair (spec of the I/O
 * request, type 2) and the default client finds the function.
 */

import type { AccessSize } from './device.js';
import type { RegisterMap } from './register-map.js';

export interface PciFunction {
  readonly name: string;
  /** `register` 0…0xFFF, aligned to `size`. What is not implemented reads as 0, as the PCI specification has it. */
  readConfig(register: number, size: AccessSize): number;
  writeConfig(register: number, size: AccessSize, value: number): void;
  /** What its data sheet says about its registers, whose offsets are those of configuration space. */
  readonly registers?: RegisterMap;
  /** As `readConfig`, without any effect; undefined: it cannot be known. */
  peekConfig?(register: number, size: AccessSize): number | undefined;
  reset?(): void;
}

/** Where a function sits: bus 0…255, device 0…31, function 0…7. */
export interface PciAddress {
  readonly bus: number;
  readonly device: number;
  readonly function: number;
}
