/**
 * AcpiSmiCommand: port 0xB2, with which a guest asks the firmware to enter or leave ACPI mode. A PC
 * would enter system management mode. Here, as in ACRN's device model, the port sets SCI_EN itself.
 * The FADT names the port and the values (SMI_CMD 0xB2, ACPI_ENABLE 0xA0, ACPI_DISABLE 0xA1).
 */

import { allOnes } from '../device.js';
import type { AccessSize, Device } from '../device.js';
import type { RegisterMap } from '../register-map.js';

export const ACPI_ENABLE = 0xa0;
export const ACPI_DISABLE = 0xa1;

export const ACPI_SMI_COMMAND_REGISTERS: RegisterMap = {
  source: 'ACPI Specification 6.4, section 4.8.3.2.1 (SCI_EN) and FADT; values as in the ACRN device model',
  registers: [
    { offset: 0, size: 1, name: 'SMI_CMD', access: 'w', meaning: '0xa0 enables ACPI mode, 0xa1 disables it' },
  ],
};

export class AcpiSmiCommand implements Device {
  readonly name = 'acpi-smi-command';
  readonly registers = ACPI_SMI_COMMAND_REGISTERS;
  readonly #setAcpiMode: (on: boolean) => void;

  /** `pm`: the machine's AcpiPm (acpi-pm.ts). */
  constructor(pm: { setAcpiMode(on: boolean): void }) {
    this.#setAcpiMode = (on) => pm.setAcpiMode(on);
  }

  read(_offset: number, size: AccessSize): number {
    return allOnes(size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset !== 0 || size !== 1) return;
    if (value === ACPI_ENABLE) this.#setAcpiMode(true);
    else if (value === ACPI_DISABLE) this.#setAcpiMode(false);
  }

  /** It has no state of its own. */
  save(): unknown {
    return null;
  }

  restore(): void {
    // Nothing to restore.
  }
}
