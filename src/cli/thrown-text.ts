/**
 * What was thrown, for the one line that ends the process. Devices are foreign code and may throw
 * or reject with anything.
 *
 * Called by: main.ts.
 */

import { inspect } from 'node:util';
import { errorText } from '../io-request/error-text.js';

/** Limit of the characters of a thrown value that is no Error. */
const LONGEST = 200;

/** The text has no full stop at its end. `suspects`: the names of devices that it may come from. */
export function thrownText(thrown: unknown, suspects: readonly string[] = []): string {
  const text = (isError(thrown) || typeof thrown === 'string' ? errorText(thrown).message : shown(thrown))
    .replaceAll(/\s+/g, ' ')
    .replace(/\.$/, '');
  const facts = isError(thrown) ? [] : ['not an Error, so its place is unknown'];
  if (suspects.length > 0) facts.push(`from device ${suspects.join(' or ')}`);
  return facts.length === 0 ? text : `${text} (${facts.join('; ')})`;
}

function isError(thrown: unknown): boolean {
  try {
    return thrown instanceof Error;
  } catch {
    return false;
  }
}

function shown(value: unknown): string {
  try {
    const text = inspect(value, { depth: 0, customInspect: false, breakLength: Infinity });
    return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  } catch {
    return errorText(value).message;
  }
}
