/**
 * Typed fields: what an operator types into the page's fields for addresses and values, and into
 * the guest's console, in the form in which messages have it (page-messages.ts). The server closes
 * the connection of a page that sends another form, so nothing is sent that these functions refuse.
 *
 * Called by: the timeline's filter, the forms for breakpoints and for the value of a held request;
 * Live, for the console.
 */

import { LAST_LINE } from '../../debugging/breakpoint-limits.js';
import { hex } from '../../io-request/io-request.js';
import { MAX_TYPED_CHARACTERS } from '../limits.js';
import type { BreakpointFields } from '../page-messages.js';

/** An address is exact as a number. */
export const ADDRESS_BITS = 52;
export const VALUE_BITS = 64;
const VECTOR_BITS = 8;

/** `0x3f8` for `0x3F8` or `3f8`. Undefined for other text, and for a number of more bits. */
export function typedNumber(text: string, bits: number): string | undefined {
  const digits = /^\s*(?:0x)?([0-9a-f]+)\s*$/i.exec(text)?.[1];
  if (digits === undefined) return undefined;
  const number = BigInt(`0x${digits}`);
  return number >> BigInt(bits) === 0n ? hex(number) : undefined;
}

/**
 * A range of addresses, `3f8` or `3f8-3ff`. Without text both ends are undefined. Returns undefined
 * for other text.
 */
export function typedRange(
  text: string,
): { readonly first: string | undefined; readonly last: string | undefined } | undefined {
  if (text.trim() === '') return { first: undefined, last: undefined };
  const [from = '', to = from, ...more] = text.split(/-|…|\.\./);
  const [first, last] = [typedNumber(from, ADDRESS_BITS), typedNumber(to, ADDRESS_BITS)];
  if (first === undefined || last === undefined || more.length > 0 || Number(last) < Number(first)) return undefined;
  return { first, last };
}

/** The text in pieces for `type` messages. No piece ends within a character (a surrogate pair). */
export function typedPieces(text: string): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = at + MAX_TYPED_CHARACTERS;
    const isWithin = end < text.length && /[\ud800-\udbff]/.test(text.charAt(end - 1));
    const piece = text.slice(at, isWithin ? end - 1 : end);
    pieces.push(piece);
    at += piece.length;
  }
  return pieces;
}

/** A whole decimal number from 0 to `most`. */
function typedDecimal(text: string, most: number): number | undefined {
  return /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}

/**
 * The fields of the form for a breakpoint, without those that are empty. Returns undefined if an
 * address, a value, a line or a vector is not a number in range, or if `last` is given without
 * `first` or is below it.
 */
export function typedBreakpoint(form: Iterable<readonly [name: string, text: string]>): BreakpointFields | undefined {
  const fields: Record<string, string | number> = {};
  for (const [name, text] of form) {
    const given = text.trim();
    if (given === '') continue;
    const field = typedField(name, given);
    if (field === undefined) return undefined;
    fields[name] = field;
  }
  const { first, last } = fields;
  if (last !== undefined && (first === undefined || Number(last) < Number(first))) return undefined;
  return fields as unknown as BreakpointFields;
}

function typedField(name: string, text: string): string | number | undefined {
  switch (name) {
    case 'first':
    case 'last':
      return typedNumber(text, ADDRESS_BITS);
    case 'value':
      return typedNumber(text, VALUE_BITS);
    case 'line':
      return typedDecimal(text, LAST_LINE);
    case 'vector': {
      const vector = typedNumber(text, VECTOR_BITS);
      return vector === undefined ? undefined : Number(vector);
    }
    default:
      return text;
  }
}
