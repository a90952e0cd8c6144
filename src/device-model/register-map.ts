/**
 * Register maps as data: what a device's data sheet says about each register. Devices use the offsets and names of their
 * map, and people and tools read it (documentation, the decoded view of an access).
 */

import type { AccessSize } from './device.js';

export interface RegisterField {
  /** Lowest and highest bit, inclusive. */
  readonly bits: readonly [low: number, high: number];
  readonly name: string;
  readonly meaning: string;
}

export interface RegisterDescription {
  /** Bytes from the start of the device's range, or the index behind an index port. */
  readonly offset: number;
  readonly size: AccessSize;
  /** The data sheet's abbreviation, e.g. `LSR`. */
  readonly name: string;
  readonly access: 'r' | 'w' | 'rw';
  readonly meaning: string;
  readonly fields?: readonly RegisterField[];
}

export interface RegisterMap {
  /** The data sheet or specification, with its edition where that matters. */
  readonly source: string;
  readonly registers: readonly RegisterDescription[];
}
