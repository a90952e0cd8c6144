/**
 * The fields of a CMSIS-SVD register: bits, accesses and enumerated values.
 *
 * Called by: read-svd.ts.
 */

import type { FieldAccess, FieldValue } from '../register-map.js';
import type { DescribedField } from './described-register.js';
import { ImportProblem } from './import-problem.js';
import type { Derivation } from './svd-derived.js';
import { repeated } from './svd-repeated.js';
import {
  meaningOf,
  neededNumber,
  neededText,
  numberOf,
  parseScaled,
  pathOf,
  plainName,
  shortened,
} from './svd-values.js';
import { childOf, textOf, type XmlElement } from './xml-tree.js';

/** Named values of one field. */
const MAX_VALUES = 256;
const ACCESSES = ['read-only', 'write-only', 'read-write', 'writeOnce', 'read-writeOnce'];
/** What a write does, where it is not to store the value. */
const WRITES: Readonly<Record<string, string>> = {
  oneToClear: 'a write of 1 clears',
  oneToSet: 'a write of 1 sets',
  oneToToggle: 'a write of 1 toggles',
  zeroToClear: 'a write of 0 clears',
  zeroToSet: 'a write of 0 sets',
  zeroToToggle: 'a write of 0 toggles',
  clear: 'any write clears',
  set: 'any write sets',
};
const READS: Readonly<Record<string, string>> = {
  clear: 'a read clears',
  set: 'a read sets',
  modify: 'a read modifies',
  modifyExternal: 'a read has an effect elsewhere',
};

/** What an element says of accesses. A field takes over what its register says. */
export interface SvdAccess {
  readonly access: string;
  readonly writes: string | undefined;
  readonly reads: string | undefined;
  /** Whether only some values may be written. */
  readonly isConstrained: boolean;
}

export function accessOf(element: XmlElement, outer: Partial<SvdAccess>): SvdAccess {
  const written = textOf(element, 'access') ?? outer.access ?? 'read-write';
  // Files of a large maker write `read-writeonce`.
  const access = ACCESSES.find((one) => one.toLowerCase() === written.toLowerCase());
  if (access === undefined)
    throw new ImportProblem(
      `${pathOf(element)}: <access> is "${shortened(written)}", not one of ${ACCESSES.join(', ')}`,
      element.line,
    );
  const constraint = childOf(element, 'writeConstraint');
  return {
    access,
    writes: textOf(element, 'modifiedWriteValues') ?? outer.writes,
    reads: textOf(element, 'readAction') ?? outer.reads,
    isConstrained:
      constraint === undefined
        ? (outer.isConstrained ?? false)
        : constraint.children.some(({ name }) => name !== 'writeAsRead'),
  };
}

/** Of a field or a whole register. Undefined: a map cannot express it. */
export function fieldAccess({ access, writes, reads, isConstrained }: SvdAccess): FieldAccess | undefined {
  if (access === 'write-only' || access === 'writeOnce') return 'w';
  if (access === 'read-only') return reads === undefined ? 'r' : reads === 'clear' ? 'rc' : undefined;
  if (access !== 'read-write' || reads !== undefined) return undefined;
  if (writes === undefined) return isConstrained ? undefined : 'rw';
  return writes === 'oneToClear' ? 'w1c' : undefined;
}

/** What `fieldAccess` cannot say, in words: `(a write of 1 sets)`, or nothing. */
export function accessNote(kind: SvdAccess): string {
  if (fieldAccess(kind) !== undefined) return '';
  const words = [
    kind.access === 'read-writeOnce' ? 'the first write counts' : undefined,
    WRITES[kind.writes ?? ''],
    READS[kind.reads ?? ''],
  ].filter((word) => word !== undefined);
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}

export function readFields(register: XmlElement, outer: SvdAccess, derivation: Derivation): readonly DescribedField[] {
  const fields = childOf(register, 'fields')?.children.filter(({ name }) => name === 'field') ?? [];
  return fields.flatMap((written) => {
    const field = derivation.resolve(written);
    const [low, high] = bitsOf(field);
    const kind = accessOf(field, outer);
    return repeated(field, 64).map(({ name, distance }) => {
      if (high + distance > 63)
        throw new ImportProblem(`${pathOf(field)}: bit ${high + distance} is above bit 63`, field.line);
      return {
        bits: [low + distance, high + distance] as const,
        name,
        meaning: meaningOf(field) + accessNote(kind),
        access: fieldAccess(kind),
        values: valuesOf(field, derivation, high - low + 1),
      };
    });
  });
}

/** `bitOffset` and `bitWidth`, `lsb` and `msb`, or `bitRange`. */
function bitsOf(field: XmlElement): readonly [number, number] {
  const range = textOf(field, 'bitRange');
  const [, high, low] = /^\[([0-9]+):([0-9]+)\]$/.exec(range?.replaceAll(' ', '') ?? '') ?? [];
  const bits: readonly [number, number] =
    range !== undefined
      ? [Number(low ?? NaN), Number(high ?? NaN)]
      : childOf(field, 'lsb') !== undefined
        ? [neededNumber(field, 'lsb', 63), neededNumber(field, 'msb', 63)]
        : withWidth(neededNumber(field, 'bitOffset', 63), numberOf(field, 'bitWidth', 64) ?? 1);
  if (!(bits[0] <= bits[1] && bits[1] <= 63))
    throw new ImportProblem(
      `${pathOf(field)}: its bits ${range ?? bits.join(' to ')} are not bits 0 to 63`,
      field.line,
    );
  return bits;
}

function withWidth(low: number, width: number): readonly [number, number] {
  return [low, low + width - 1];
}

/** Those for reads, or for both: they name what a person sees. */
function valuesOf(field: XmlElement, derivation: Derivation, width: number): readonly FieldValue[] {
  const all = field.children.filter(({ name }) => name === 'enumeratedValues').map((one) => derivation.resolve(one));
  const chosen = all.find((one) => textOf(one, 'usage') !== 'write') ?? all[0];
  const values: FieldValue[] = [];
  for (const element of chosen?.children ?? []) {
    const text = textOf(element, 'value');
    if (element.name !== 'enumeratedValue' || text === undefined) continue;
    const numbers = withoutDontCares(text);
    if (numbers === undefined)
      throw new ImportProblem(`${pathOf(element)}: <value> is "${text}", not a number`, element.line);
    const name = plainName(neededText(element, 'name'));
    for (const value of numbers) {
      if (value >= 2n ** BigInt(width) || value > Number.MAX_SAFE_INTEGER || values.length >= MAX_VALUES) continue;
      values.push({ value: Number(value), name, meaning: meaningOf(element) });
    }
  }
  return values;
}

/** `#1x` is 2 and 3. More than 16 such values name nothing in particular: empty. */
function withoutDontCares(text: string): readonly bigint[] | undefined {
  const bits = /^(?:#|0b)([01x]*x[01x]*)$/i.exec(text)?.[1];
  if (bits === undefined) {
    const value = parseScaled(text);
    return value === undefined ? undefined : [value];
  }
  if (bits.length > 64 || bits.replace(/[01]/g, '').length > 4) return [];
  let all = [''];
  for (const bit of bits) all = all.flatMap((one) => (/x/i.test(bit) ? [`${one}0`, `${one}1`] : [one + bit]));
  return all.map((one) => BigInt(`0b${one}`));
}
