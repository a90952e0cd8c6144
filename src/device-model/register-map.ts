/**
 * RegisterMap: a device's registers as data, as its data sheet describes them.
 *
 * Called by: tools that display registers (the live page) or check them (`upcall/testing`). A
 * device offers its map as `Device.registers`, and peeks a register by the map's offset, size and
 * name.
 */

import type { AccessSize } from '../io-request/io-request.js';

export interface RegisterField {
  /** Lowest and highest bit, inclusive. */
  readonly bits: readonly [low: number, high: number];
  readonly name: string;
  readonly meaning: string;
  /** What accesses do to it, for `checkRegisters` of `upcall/testing`. Default: unknown. */
  readonly access?: FieldAccess;
  /** Names of values. Others may occur. */
  readonly values?: readonly FieldValue[];
}

export interface FieldValue {
  /** Of the field alone, from its lowest bit. */
  readonly value: number;
  readonly name: string;
  readonly meaning: string;
}

/**
 * `r`: writes change nothing. `rw`: reads as it was last written. `w`: what it reads as has no
 * meaning. `w1c`: a write of 1 clears the bit, a write of 0 leaves it. `rc`: a read clears it.
 */
export type FieldAccess = 'r' | 'rw' | 'w' | 'w1c' | 'rc';

export interface RegisterDescription {
  /** In bytes from the start of the device's range, or the index behind an index port. */
  readonly offset: number;
  /** Of a PCI card: the base address register that holds it. Default: 0. */
  readonly bar?: number;
  /** In bytes: 1, 2 or 4. */
  readonly size: AccessSize;
  /** The data sheet's abbreviation, e.g. `LSR`. */
  readonly name: string;
  readonly access: 'r' | 'w' | 'rw';
  readonly meaning: string;
  readonly fields?: readonly RegisterField[];
  /** What it reads as after a reset. Default: unknown. */
  readonly reset?: number;
  /** The bits that `reset` is known of. Default: all. */
  readonly resetMask?: number;
  /**
   * Whether time, input or another register may change it, but for fields with `access: 'rw'`.
   * Default: false.
   */
  readonly isVolatile?: boolean;
}

export interface RegisterMap {
  /** The data sheet or specification, with its edition where that matters. */
  readonly source: string;
  readonly registers: readonly RegisterDescription[];
}
