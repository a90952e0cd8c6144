/**
 * Mutator: makes new inputs of kept ones by a few small changes.
 *
 * Called by: a campaign (campaign.ts) for each new input.
 */

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** A number 0…`count` − 1. */
export type Chance = (count: number) => number;

export function seededChance(seed: number): Chance {
  const random = xoroshiro128plus(seed);
  return (count) => uniformInt(random, 0, count - 1);
}

/** Changes to one input. */
const MAX_CHANGES = 6;
/** Longest input that is generated from scratch. */
const NEW_BYTES = 64;
/** Bytes at edges of lengths, shifts and signs. */
const INTERESTING = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 0x7f, 0x80, 0xfe, 0xff];
/** One in NEW_IN inputs is generated from scratch. */
const NEW_IN = 16;

export function mutate(kept: readonly Uint8Array[], chance: Chance, maxBytes: number): Uint8Array<ArrayBuffer> {
  const isNew = kept.length === 0 || chance(NEW_IN) === 0;
  let bytes = isNew
    ? Array.from({ length: 1 + chance(Math.min(NEW_BYTES, maxBytes)) }, () => chance(256))
    : [...(kept[chance(kept.length)] as Uint8Array)];
  for (let left = isNew ? 0 : 1 + chance(MAX_CHANGES); left > 0; left--) bytes = change(bytes, kept, chance);
  return Uint8Array.from(bytes.slice(0, maxBytes));
}

function change(bytes: number[], kept: readonly Uint8Array[], chance: Chance): number[] {
  const at = chance(bytes.length + 1);
  const length = 1 + chance(Math.min(32, bytes.length + 1));
  const there = bytes[at];
  switch (chance(9)) {
    case 0: // flip a bit
      return there === undefined ? bytes : bytes.with(at, there ^ (1 << chance(8)));
    case 1: // replace a byte
      return there === undefined ? bytes : bytes.with(at, chance(256));
    case 2: // replace a byte by an interesting one
      return there === undefined ? bytes : bytes.with(at, INTERESTING[chance(INTERESTING.length)] as number);
    case 3: // add or subtract a little
      return there === undefined ? bytes : bytes.with(at, (there + chance(33) - 16) & 0xff);
    case 4: // remove a chunk
      return bytes.toSpliced(at, length);
    case 5: // insert a chunk
      return bytes.toSpliced(at, 0, ...Array.from({ length: 1 + chance(12) }, () => chance(256)));
    case 6: // duplicate a chunk
      return bytes.toSpliced(at, 0, ...bytes.slice(at, at + length));
    case 7: {
      // splice a chunk of another input
      const other = kept[chance(kept.length)] as Uint8Array;
      const from = chance(other.length + 1);
      return bytes.toSpliced(at, chance(2) * length, ...other.subarray(from, from + length));
    }
    default: {
      // all ones or zeros
      const value = chance(2) * 0xff;
      return bytes.map((byte, index) => (index >= at && index < at + Math.min(length, 4) ? value : byte));
    }
  }
}
