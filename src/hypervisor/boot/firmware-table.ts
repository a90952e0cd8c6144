/**
 * FirmwareTable: a table under construction that firmware leaves in memory for the guest:
 * little-endian fields at the offsets that its specification gives, and checksums.
 *
 * Called by: acpi-tables.ts and mp-table.ts.
 */

export class FirmwareTable {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }

  text(offset: number, text: string): this {
    this.bytes.set(new TextEncoder().encode(text), offset);
    return this;
  }

  u8(offset: number, value: number): this {
    this.#view.setUint8(offset, value);
    return this;
  }

  u16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, true);
    return this;
  }

  /** The high half of a 64-bit field stays 0: everything here lies below 4 GiB. */
  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  /** Sets the byte at `offset` so that the first `length` bytes add up to 0 modulo 256. */
  checksum(offset: number, length = this.bytes.length): this {
    this.bytes[offset] = 0;
    const sum = this.bytes.subarray(0, length).reduce((total, byte) => total + byte, 0);
    return this.u8(offset, -sum & 0xff);
  }
}

/** `value` as little-endian bytes. */
export function little(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, index) => (value >>> (8 * index)) & 0xff);
}
