/**
 * PciConfigSpace: the 256 bytes of a conventional PCI function as data: what stands in each register, which bits the
 * guest may change, and which it clears by writing 1. Functions describe themselves with a list and delegate to this.
 *
 * A base address register needs no code of its own: it is four bytes whose writable bits are the complement of the
 * size of its range, less one (PCI Local Bus Specification 3.0, section 6.2.5.1). Its owner reads it after a write.
 */

import { allOnes } from '../../device.js';
import type { AccessSize } from '../../device.js';

export const PCI_CONFIG_SPACE_SIZE = 256;

/** Registers of a type 0 header (PCI Local Bus Specification 3.0, figure 6-1). */
export const PciRegister = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION_ID: 0x08,
  CLASS_CODE: 0x09,
  CACHE_LINE_SIZE: 0x0c,
  LATENCY_TIMER: 0x0d,
  HEADER_TYPE: 0x0e,
  BIST: 0x0f,
  BAR0: 0x10,
  SUBSYSTEM_VENDOR_ID: 0x2c,
  SUBSYSTEM_ID: 0x2e,
  CAPABILITIES: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

/** One to four bytes of configuration space; what no field describes reads as 0 and ignores writes. */
export interface PciConfigField {
  readonly register: number;
  readonly size: 1 | 2 | 3 | 4;
  /** At power-on, low byte first. */
  readonly value: number;
  /** Bits that a write stores. None if absent. */
  readonly writable?: number;
  /** Bits that a write of 1 clears. None if absent. */
  readonly clearable?: number;
}

export class PciConfigSpace {
  readonly #initial = new Uint8Array(PCI_CONFIG_SPACE_SIZE);
  readonly #writable = new Uint8Array(PCI_CONFIG_SPACE_SIZE);
  readonly #clearable = new Uint8Array(PCI_CONFIG_SPACE_SIZE);
  readonly #bytes = new Uint8Array(PCI_CONFIG_SPACE_SIZE);

  constructor(fields: readonly PciConfigField[]) {
    for (const field of fields) {
      for (let i = 0; i < field.size; i++) {
        this.#initial[field.register + i] = field.value >>> (8 * i);
        this.#writable[field.register + i] = (field.writable ?? 0) >>> (8 * i);
        this.#clearable[field.register + i] = (field.clearable ?? 0) >>> (8 * i);
      }
    }
    this.reset();
  }

  /**
   * Beyond the 256 bytes ACRN answers the head of an empty list of extended capabilities, then all ones: a guest that
   * finds all ones at 0x100 must take that for a function without extended space, too.
   */
  read(register: number, size: AccessSize): number {
    if (register >= PCI_CONFIG_SPACE_SIZE) return register < PCI_CONFIG_SPACE_SIZE + 4 ? 0 : allOnes(size);
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.#bytes[register + i] ?? 0) << (8 * i);
    return value >>> 0;
  }

  write(register: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const at = register + i;
      const written = (value >>> (8 * i)) & 0xff;
      const writable = this.#writable[at] ?? 0;
      const old = this.#bytes[at] ?? 0;
      // A typed array ignores a store beyond its end.
      this.#bytes[at] = ((old & ~writable) | (written & writable)) & ~(written & (this.#clearable[at] ?? 0));
    }
  }

  /** The device's own hand: stores whatever the write mask says, e.g. a status bit that the device sets. */
  set(register: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#bytes[register + i] = value >>> (8 * i);
  }

  reset(): void {
    this.#bytes.set(this.#initial);
  }
}
