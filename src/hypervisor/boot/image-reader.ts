/**
 * ImageReader: little-endian fields of an unchecked image. The parsers in this folder read fields
 * and ranges through it: one beyond the end is the operator's error (a truncated file,
 * IMAGE_MALFORMED), never a RangeError.
 *
 * Called by: the parsers of this folder; the command line, for Debian's packages and modules.
 *
 * Ordering: the bytes are the caller's, who may share them with other threads and must not change
 * them while a VM that starts from them exists: each start reads them again. If they change all the
 * same, the image is wrong: each range is checked when it is read.
 */

import { UpcallError } from '../../io-request/upcall-error.js';

export class ImageReader {
  /** What the image is, for messages: "multiboot image", "bzImage". */
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(what: string, bytes: Uint8Array) {
    this.what = what;
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  has(offset: number, length: number): boolean {
    return offset >= 0 && length >= 0 && offset + length <= this.bytes.length;
  }

  u8(offset: number): number {
    this.#check(offset, 1);
    return this.#view.getUint8(offset);
  }

  u16(offset: number): number {
    this.#check(offset, 2);
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number): number {
    this.#check(offset, 4);
    return this.#view.getUint32(offset, true);
  }

  /** A view, not a copy. */
  slice(offset: number, length: number): Uint8Array {
    this.#check(offset, length);
    return this.bytes.subarray(offset, offset + length);
  }

  malformed(fact: string): UpcallError {
    return new UpcallError('IMAGE_MALFORMED', `${this.what}: ${fact}`, {
      remedy: 'Check that the file is complete and of the kind you mean',
    });
  }

  #check(offset: number, length: number): void {
    if (!this.has(offset, length))
      throw this.malformed(`${length} bytes at offset ${offset} are missing, the image ends at ${this.bytes.length}`);
  }
}
