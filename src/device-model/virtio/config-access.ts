/**
 * ConfigAccess: the PCI configuration access capability of a virtio card. A driver writes the
 * number of a BAR, an offset and a length, and then reaches the register there through four bytes
 * of configuration space. So firmware can use a card whose BARs it cannot place or map.
 *
 * Called by: VirtioPciCard.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * Source: virtio 1.2, section 4.1.4.9. A length other than 1, 2 and 4, an offset that is not a
 * multiple of it, and what is beyond the BAR are mistakes of the driver: reads give 0, and writes
 * do nothing.
 */

import type { AccessSize } from '../device.js';

/** Offsets of the fields in the capability. */
const Field = { BAR: 4, OFFSET: 8, LENGTH: 12, DATA: 16, END: 20 } as const;

/** The registers of BAR 0, which a virtio card answers at once. */
interface BarRegisters {
  read(bar: number, offset: number, size: AccessSize): number;
  write(bar: number, offset: number, size: AccessSize, value: number): void;
}

export class ConfigAccess {
  readonly #registers: BarRegisters;
  readonly #barBytes: number;
  readonly #fields = new DataView(new ArrayBuffer(Field.END));

  /** `barBytes`: the size of BAR 0, the only one with virtio structures. */
  constructor(barBytes: number, registers: BarRegisters) {
    this.#barBytes = barBytes;
    this.#registers = registers;
  }

  /** `offset`: in the capability. A read of the window reads the register, with its effects. */
  read(offset: number, size: AccessSize): number {
    if (offset >= Field.DATA) {
      const target = this.#target;
      if (target === undefined) return 0;
      this.#fields.setUint32(Field.DATA, this.#registers.read(0, target.offset, target.size), true);
    }
    let value = 0;
    for (let byte = size - 1; byte >= 0; byte--) value = value * 256 + this.#byte(offset + byte);
    return value;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let byte = 0; byte < size; byte++)
      if (isWritable(offset + byte)) this.#fields.setUint8(offset + byte, value >>> (8 * byte));
    const target = offset >= Field.DATA ? this.#target : undefined;
    if (target === undefined) return;
    const data = this.#fields.getUint32(Field.DATA, true);
    this.#registers.write(
      0,
      target.offset,
      target.size,
      target.size === 4 ? data : data & (2 ** (8 * target.size) - 1),
    );
  }

  reset(): void {
    for (let byte = 0; byte < Field.END; byte++) this.#fields.setUint8(byte, 0);
  }

  get #target(): { readonly offset: number; readonly size: AccessSize } | undefined {
    const offset = this.#fields.getUint32(Field.OFFSET, true);
    const size = this.#fields.getUint32(Field.LENGTH, true);
    const isBar = this.#fields.getUint8(Field.BAR) === 0;
    if (!isBar || (size !== 1 && size !== 2 && size !== 4)) return undefined;
    return offset % size === 0 && offset + size <= this.#barBytes ? { offset, size } : undefined;
  }

  /** What is beyond the capability, up to a multiple of 4, is 0. */
  #byte(offset: number): number {
    return offset < Field.END ? this.#fields.getUint8(offset) : 0;
  }
}

/** The padding after the BAR's number is read-only. */
function isWritable(offset: number): boolean {
  return offset === Field.BAR || (offset >= Field.OFFSET && offset < Field.END);
}
