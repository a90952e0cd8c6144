/**
 * PciEcam: PCI configuration space as memory (ECAM): 4 KiB for each function, in the order of bus,
 * device and function. It reaches the same functions as the configuration ports.
 *
 * Called by: DeviceClient, for the range of the MCFG table (hypervisor/boot/acpi-tables.ts).
 *
 * Source: PCI Express Base Specification 3.0, section 7.2.2. As in ACRN, an access that is not
 * aligned to its size reads all ones and writes nothing (PciBus refuses it).
 */

import type { AccessSize, Device } from '../../device.js';
import type { PciBus } from './pci-bus.js';

/** Where ACRN has it. A PC of upcall has one bus: 1 MiB for 32 devices of 8 functions. */
export const PCI_ECAM_ADDRESS = 0xe000_0000;
export const PCI_ECAM_BYTES = 0x10_0000;

export class PciEcam implements Device {
  readonly name = 'pci-ecam';
  readonly #bus: PciBus;

  constructor(bus: PciBus) {
    this.#bus = bus;
  }

  read(offset: number, size: AccessSize): number {
    return this.#bus.read(offset >>> 20, (offset >>> 15) & 31, (offset >>> 12) & 7, offset & 0xfff, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#bus.write(offset >>> 20, (offset >>> 15) & 31, (offset >>> 12) & 7, offset & 0xfff, size, value);
  }

  /** It has no state of its own. */
  save(): unknown {
    return null;
  }

  restore(): void {
    // Nothing to restore.
  }
}
