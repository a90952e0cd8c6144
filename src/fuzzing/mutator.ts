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
/** Bytes that are removed, duplicated or spliced at once. */
const MAX_CHUNK = 32;
/** Random bytes that are inserted at once. */
const MAX_INSERT = 12;
/** Bytes in a row that are set to all ones or zeros. */
const MAX_RUN = 4;
/** How much a byte is increased or decreased at most. */
const NUDGE = 16;

const CHANGES = [
  'flip a bit',
  'replace a byte',
  'replace a byte by an interesting one',
  'add or subtract a little',
  'remove a chunk',
  'insert random bytes',
  'duplicate a chunk',
  'splice a chunk of another input',
  'set to all ones or zeros',
] as const;

/** A new input. Without kept inputs it is generated from scratch. */
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
  const length = 1 + chance(Math.min(MAX_CHUNK, bytes.length + 1));
  const there = bytes[at];
  switch (CHANGES[chance(CHANGES.length)] as (typeof CHANGES)[number]) {
    case 'flip a bit':
      return there === undefined ? bytes : bytes.with(at, there ^ (1 << chance(8)));
    case 'replace a byte':
      return there === undefined ? bytes : bytes.with(at, chance(256));
    case 'replace a byte by an interesting one':
      return there === undefined ? bytes : bytes.with(at, INTERESTING[chance(INTERESTING.length)] as number);
    case 'add or subtract a little':
      return there === undefined ? bytes : bytes.with(at, (there + chance(2 * NUDGE + 1) - NUDGE) & 0xff);
    case 'remove a chunk':
      return bytes.toSpliced(at, length);
    case 'insert random bytes':
      return bytes.toSpliced(at, 0, ...Array.from({ length: 1 + chance(MAX_INSERT) }, () => chance(256)));
    case 'duplicate a chunk':
      return bytes.toSpliced(at, 0, ...bytes.slice(at, at + length));
    case 'splice a chunk of another input': {
      // There are kept inputs: without them no input is changed (`mutate`).
      const other = kept[chance(kept.length)] as Uint8Array;
      const from = chance(other.length + 1);
      // Inserts the chunk, or puts it in place of as many bytes.
      return bytes.toSpliced(at, chance(2) * length, ...other.subarray(from, from + length));
    }
    case 'set to all ones or zeros': {
      const value = chance(2) * 0xff;
      return bytes.map((byte, index) => (index >= at && index < at + Math.min(length, MAX_RUN) ? value : byte));
    }
  }
}
