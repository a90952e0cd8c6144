/**
 * PciConfigSpace: the 256 bytes of a conventional PCI function as data. Each byte has its initial
 * value, the bits that the guest can write, and those that it clears by writing 1.
 *
 * Called by: PCI functions, which pass a list of fields and delegate their accesses.
 *
 * A base address register needs no code of its own: it is four bytes whose writable bits are those
 * of `~(size - 1)` for the size of its range (PCI Local Bus Specification 3.0, section 6.2.5.1).
 * Its function reads it after a write.
 */

import type { SavedState } from '../../../io-request/saved-state.js';
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

/** One to four bytes of configuration space. Bytes without a field read as 0 and ignore writes. */
export interface PciConfigField {
  /** Offset of the first byte. */
  readonly register: number;
  readonly size: 1 | 2 | 3 | 4;
  /** At power-on, low byte first. */
  readonly value: number;
  /** Bits that a write stores. Default: none. */
  readonly writable?: number;
  /** Bits that a write of 1 clears. Default: none. */
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
   * Beyond the 256 bytes it reads, as in ACRN, the head of an empty list of extended capabilities,
   * then all ones. (A guest must also accept all ones at 0x100 for a function without extended
   * space.)
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

  /** For the device itself: stores regardless of the write mask, e.g. a status bit. */
  set(register: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#bytes[register + i] = value >>> (8 * i);
  }

  save(): readonly number[] {
    return Array.from(this.#bytes);
  }

  /** Bits that neither side can change keep their initial value. */
  restore(from: SavedState, name: string): void {
    const bytes = from.integers(name, PCI_CONFIG_SPACE_SIZE, 0, 0xff);
    bytes.forEach((byte, at) => {
      const changeable = (this.#writable[at] ?? 0) | (this.#clearable[at] ?? 0);
      this.#bytes[at] = ((this.#initial[at] ?? 0) & ~changeable) | (byte & changeable);
    });
  }

  reset(): void {
    this.#bytes.set(this.#initial);
  }
}
