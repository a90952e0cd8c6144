/**
 * RawImage: a disk image that is the disk's bytes, one for one, in a file.
 *
 * Called by: openDisk.
 */

import type { DiskFile } from '../../host/disk-file.js';
import { SECTOR_BYTES, type DiskImage } from './disk-image.js';

/**
 * Where holes are not possible or not allowed, zeros are written in pieces of at most this size.
 */
const ZEROS = new Uint8Array(256 * 1024);

export class RawImage implements DiskImage {
  readonly size: number;
  readonly #file: DiskFile;

  /**
   * The image owns the file, and closes it. Throws RangeError if the file is empty or not of whole
   * sectors.
   */
  constructor(file: DiskFile) {
    if (file.size === 0 || file.size % SECTOR_BYTES !== 0) throw new RangeError(`a disk of ${file.size} bytes`);
    this.#file = file;
    this.size = file.size;
  }

  get isReadOnly(): boolean {
    return !this.#file.isWritable;
  }

  get canDeallocate(): boolean {
    return this.#file.canDeallocate;
  }

  async read(position: number, target: Uint8Array): Promise<void> {
    const count = await this.#file.read(position, target);
    if (count < target.length) throw new Error(`${this.#file.name} was made shorter`);
  }

  write(position: number, source: Uint8Array): Promise<void> {
    return this.#file.write(position, source);
  }

  async writeZeroes(position: number, length: number, mayDeallocate: boolean): Promise<void> {
    if (mayDeallocate && (await this.#file.deallocate(position, length))) return;
    for (let at = 0; at < length; at += ZEROS.length)
      await this.#file.write(position + at, ZEROS.subarray(0, length - at));
  }

  async discard(position: number, length: number): Promise<void> {
    await this.#file.deallocate(position, length);
  }

  async flush(): Promise<void> {
    if (!this.isReadOnly) await this.#file.sync();
  }

  async close(): Promise<void> {
    await this.flush().finally(() => this.#file.close());
  }
}
