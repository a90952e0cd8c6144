/**
 * PciHostBridge: the function at 00:00.0 that shows a guest that there is a PCI bus. It has no
 * address ranges and does nothing. Guests look for a host bridge before they trust configuration
 * mechanism 1 (Linux: `pci_sanity_check`).
 *
 * It identifies as an Intel 82441FX, because guests need no driver for that one. Linux only notes
 * that the chip slows direct transfers between two PCI devices (`quirk_natoma`, which matters for
 * old video capture cards). Firmware knows its shadow RAM registers (PAM). They are stored without
 * effect: the RAM below 1 MiB can always be read and written. This chip has no subsystem ID, which
 * reads as 0.
 */

import { SavedState } from '../../../io-request/saved-state.js';
import type { AccessSize } from '../../device.js';
import type { PciFunction } from '../../pci-function.js';
import type { RegisterMap } from '../../register-map.js';
import { PciConfigSpace, PciRegister } from './pci-config-space.js';
import type { PciConfigField } from './pci-config-space.js';

/** First of the seven programmable attribute map registers. */
const PAM0 = 0x59;

const FIELDS: readonly PciConfigField[] = [
  { register: PciRegister.VENDOR_ID, size: 2, value: 0x8086 },
  { register: PciRegister.DEVICE_ID, size: 2, value: 0x1237 },
  // Memory and bus master are hard-wired to 1; PERRE (6) and SERRE (8) can be written.
  { register: PciRegister.COMMAND, size: 2, value: 0x0006, writable: 0x0140 },
  // Medium DEVSEL timing, fast back-to-back. Writing 1 clears the error bits 15 to 11 and 8.
  { register: PciRegister.STATUS, size: 2, value: 0x0280, clearable: 0xf900 },
  { register: PciRegister.REVISION_ID, size: 1, value: 0x02 },
  { register: PciRegister.CLASS_CODE, size: 3, value: 0x060000 },
  { register: PciRegister.LATENCY_TIMER, size: 1, value: 0x00, writable: 0xf8 },
  { register: PciRegister.HEADER_TYPE, size: 1, value: 0x00 },
  // The low half of PAM0 is reserved, and so are cache bits 2 and 6 of all (the processor's MTRRs
  // replace them).
  { register: PAM0, size: 1, value: 0x00, writable: 0x30 },
  { register: PAM0 + 1, size: 2, value: 0x0000, writable: 0x3333 },
  { register: PAM0 + 3, size: 4, value: 0x0000_0000, writable: 0x3333_3333 },
];

export const PCI_HOST_BRIDGE_REGISTERS: RegisterMap = {
  source: 'Intel 440FX PCIset data sheet (290549), 82441FX PMC configuration registers',
  registers: [
    { offset: 0x00, size: 2, name: 'VID', access: 'r', meaning: 'vendor: Intel', reset: 0x8086 },
    { offset: 0x02, size: 2, name: 'DID', access: 'r', meaning: 'device: 82441FX', reset: 0x1237 },
    {
      offset: 0x04,
      size: 2,
      name: 'PCICMD',
      access: 'rw',
      meaning: 'command',
      fields: [
        { bits: [1, 1], name: 'MAE', meaning: 'memory access, always on' },
        { bits: [2, 2], name: 'BME', meaning: 'bus master, always on' },
        { bits: [6, 6], name: 'PERRE', meaning: 'report parity errors' },
        { bits: [8, 8], name: 'SERRE', meaning: 'drive SERR#' },
      ],
    },
    {
      offset: 0x06,
      size: 2,
      name: 'PCISTS',
      access: 'rw',
      meaning: 'status',
      fields: [
        { bits: [7, 7], name: 'FB2B', meaning: 'accepts fast back-to-back transfers' },
        { bits: [9, 10], name: 'DEVT', meaning: 'DEVSEL# timing: medium' },
        { bits: [11, 15], name: 'ERR', meaning: 'aborts, SERR#, parity error; write 1 to clear' },
      ],
    },
    { offset: 0x08, size: 1, name: 'RID', access: 'r', meaning: 'revision' },
    { offset: 0x09, size: 1, name: 'CLASSC', access: 'r', meaning: 'three bytes: host bridge, 06 00 00' },
    { offset: 0x0d, size: 1, name: 'MLT', access: 'rw', meaning: 'master latency timer' },
    { offset: 0x0e, size: 1, name: 'HEADT', access: 'r', meaning: 'header type 0' },
    { offset: 0x59, size: 1, name: 'PAM', access: 'rw', meaning: 'seven bytes: shadow RAM below 1 MiB; no effect' },
  ],
};

export class PciHostBridge implements PciFunction {
  readonly name = 'pci-host-bridge';
  readonly registers = PCI_HOST_BRIDGE_REGISTERS;
  readonly #space = new PciConfigSpace(FIELDS);

  readConfig(register: number, size: AccessSize): number {
    return this.#space.read(register, size);
  }

  /** Reading has no side effect here. */
  peekConfig(register: number, size: AccessSize): number {
    return this.#space.read(register, size);
  }

  writeConfig(register: number, size: AccessSize, value: number): void {
    this.#space.write(register, size, value);
  }

  save(): unknown {
    return { space: this.#space.save() };
  }

  restore(state: unknown): void {
    this.#space.restore(new SavedState(this.name, state), 'space');
  }

  reset(): void {
    this.#space.reset();
  }
}
