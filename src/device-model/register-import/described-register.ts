/**
 * DescribedRegister: a register as description languages have it, with up to 64 bits, and what
 * becomes of it in a register map, whose registers have 1, 2 or 4 bytes.
 *
 * Called by: read-svd.ts and read-rdl-json.ts, which make them, and importRegisters.
 */

import type { AccessSize } from '../../io-request/io-request.js';
import type { FieldAccess, FieldValue, RegisterDescription, RegisterField } from '../register-map.js';

export interface DescribedField {
  /** Lowest and highest bit, inclusive. */
  readonly bits: readonly [low: number, high: number];
  readonly name: string;
  readonly meaning: string;
  /** Undefined: of a kind that a register map cannot express, and which `meaning` names. */
  readonly access: FieldAccess | undefined;
  readonly values: readonly FieldValue[];
}

export interface DescribedRegister {
  readonly name: string;
  /** In bytes. */
  readonly offset: number;
  /** Of the register, 1 to 64. */
  readonly width: number;
  readonly access: 'r' | 'w' | 'rw';
  readonly meaning: string;
  /** Undefined: the description gives no reset value. */
  readonly reset: bigint | undefined;
  /** The bits that `reset` is known of. */
  readonly resetMask: bigint;
  readonly isVolatile: boolean;
  readonly fields: readonly DescribedField[];
}

/** What a reader of one format returns. */
export interface ChosenBlock {
  /** All names that `block` can be. */
  readonly blocks: readonly string[];
  /** Undefined: `block` is not one of them, or is needed. */
  readonly found:
    | {
        readonly name: string;
        readonly source: string;
        readonly meaning: string;
        readonly registers: readonly DescribedRegister[];
        readonly notes: readonly string[];
      }
    | undefined;
}

/** Of a part of a wide register: its suffix and its lowest bit. */
const HALVES = [
  ['_LOW', 0],
  ['_HIGH', 32],
] as const;

/**
 * One register of the map, or two of four bytes, NAME_LOW and NAME_HIGH: a guest's access of eight
 * bytes reaches a device as two of four.
 */
export function mapRegisters(register: DescribedRegister): readonly RegisterDescription[] {
  const { width } = register;
  if (width <= 32) return [part(register, '', 0, width <= 8 ? 1 : width <= 16 ? 2 : 4)];
  return HALVES.map(([suffix, low]) => part(register, suffix, low, 4));
}

function part(register: DescribedRegister, suffix: string, low: number, size: AccessSize): RegisterDescription {
  const bits = 2n ** BigInt(8 * size) - 1n;
  const cut = (value: bigint): number => Number((value >> BigInt(low)) & bits);
  const mask = cut(register.resetMask);
  const { reset } = register;
  const hasReset = reset !== undefined && mask !== 0 && register.access !== 'w';
  const fields = register.fields.flatMap((field) => fieldPart(field, low, low + 8 * size - 1));
  return {
    offset: register.offset + low / 8,
    size,
    name: register.name + suffix,
    access: register.access,
    meaning: register.meaning,
    ...(hasReset ? { reset: (cut(reset) & mask) >>> 0 } : {}),
    ...(hasReset && BigInt(mask) !== bits ? { resetMask: mask } : {}),
    ...(register.isVolatile ? { isVolatile: true } : {}),
    ...(fields.length > 0 ? { fields } : {}),
  };
}

/** The bits of a field from `first` to `last`, counted from `first`. Values only if whole. */
function fieldPart(field: DescribedField, first: number, last: number): readonly RegisterField[] {
  const low = Math.max(field.bits[0], first);
  const high = Math.min(field.bits[1], last);
  if (low > high) return [];
  const isWhole = low === field.bits[0] && high === field.bits[1];
  const { name, meaning, access, values } = field;
  return [
    {
      bits: [low - first, high - first],
      name,
      meaning,
      ...(access === undefined ? {} : { access }),
      ...(isWhole && values.length > 0 ? { values } : {}),
    },
  ];
}
