/**
 * ResetControl: the PC's reset control register at port 0xCF9. It lies inside the PCI configuration
 * address register (0xCF8 to 0xCFB), which takes the accesses that begin at 0xCF8. Linux uses it
 * for `reboot=pci`, and ACPI tables name it as reset register.
 *
 * Called by: DeviceClient. The reset itself is `power`'s (vm/vm-life-cycle.ts).
 *
 * A write with RST_CPU resets, as the chipset's data sheet says. In ACRN, FULL_RST alone resets as
 * well. Linux first writes SYS_RST alone to select the kind of reset, which resets in neither.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { allOnes } from '../device.js';
import type { AccessSize, Device, PowerControl } from '../device.js';
import type { RegisterMap } from '../register-map.js';

const SYS_RST = 1 << 1;
const RST_CPU = 1 << 2;
const FULL_RST = 1 << 3;

export const RESET_CONTROL_REGISTERS: RegisterMap = {
  source: 'Intel 82371SB (PIIX3) data sheet, RC register; FULL_RST as in the later ICH, RST_CNT',
  registers: [
    {
      offset: 0,
      size: 1,
      name: 'RST_CNT',
      access: 'rw',
      meaning: 'reset control',
      reset: 0,
      fields: [
        { bits: [1, 1], name: 'SYS_RST', meaning: 'hard reset (1) or soft reset (0)', access: 'rw' },
        { bits: [2, 2], name: 'RST_CPU', meaning: 'resets when written as 1', access: 'rw' },
        { bits: [3, 3], name: 'FULL_RST', meaning: 'the reset includes a power cycle', access: 'rw' },
      ],
    },
  ],
};

export class ResetControl implements Device {
  readonly name = 'reset-control';
  readonly registers = RESET_CONTROL_REGISTERS;
  readonly #power: PowerControl;
  #value = 0;

  constructor(options: { readonly power: PowerControl }) {
    this.#power = options.power;
  }

  /** Reading has no side effect here. */
  peek(offset: number, size: AccessSize): number {
    return this.read(offset, size);
  }

  read(offset: number, size: AccessSize): number {
    return offset === 0 && size === 1 ? this.#value : allOnes(size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset !== 0 || size !== 1) return;
    this.#value = value & (SYS_RST | RST_CPU | FULL_RST);
    if ((value & RST_CPU) === 0) return;
    const kind = (value & FULL_RST) !== 0 ? 'a full reset' : 'a system reset';
    this.#power.reset(`the guest asked for ${kind} at port 0xcf9`);
  }

  save(): unknown {
    return { value: this.#value };
  }

  restore(state: unknown): void {
    this.#value = new SavedState(this.name, state).byte('value') & (SYS_RST | RST_CPU | FULL_RST);
  }

  reset(): void {
    this.#value = 0;
  }
}
