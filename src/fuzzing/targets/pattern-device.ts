/**
 * PatternDevice: a device whose values depend only on the access, in any thread. It throws on an
 * invalid access.
 *
 * Called by: PageArena, which also loads it as a device module into a thread of its own.
 * CheckedClient uses `patternValue`.
 */

import type { AccessSize, Device } from '../../device-model/device.js';

/** Bytes of its range. */
const BYTES = 0x100;

/** The value that every pattern device reads at an offset. */
export function patternValue(offset: number, size: number): number {
  const value = Math.imul(offset + 1, 0x0101_0107) >>> 0;
  return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
}

export class PatternDevice implements Device {
  readonly name = 'pattern';
  /** Of this object: the copy in another thread counts its own. */
  accesses = 0;

  read(offset: number, size: AccessSize): number {
    this.#check(offset, size);
    return patternValue(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#check(offset, size);
    if (!(value >= 0 && value < 2 ** (8 * size))) throw new RangeError(`${value} is wider than ${size} bytes`);
  }

  /** An error is reported as a device error, which no target expects. */
  #check(offset: number, size: number): void {
    this.accesses++;
    if (!(offset >= 0 && offset + size <= BYTES && [1, 2, 4].includes(size)))
      throw new RangeError(`${size} bytes at offset ${offset}`);
  }
}

export default (): Device => new PatternDevice();
