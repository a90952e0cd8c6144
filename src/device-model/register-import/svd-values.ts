/**
 * Numbers, names and texts of CMSIS-SVD elements.
 *
 * Called by: the other files of the SVD reader. Each rejects with ImportProblem, which names the
 * element.
 */

import { ImportProblem } from './import-problem.js';
import { childOf, textOf, type XmlElement } from './xml-tree.js';

const MAX_MEANING = 160;
const MULTIPLES: Readonly<Record<string, bigint>> = { k: 2n ** 10n, m: 2n ** 20n, g: 2n ** 30n, t: 2n ** 40n };
const MAX_VALUE = 2n ** 64n - 1n;

/**
 * A number as SVD writes it: decimal, 0x hexadecimal, # or 0b binary, with k, m, g or t behind it.
 * Undefined if `text` is not one, or above 64 bits.
 */
export function parseScaled(text: string): bigint | undefined {
  const [, digits, unit = ''] = /^\+?(0x[0-9a-f]+|(?:#|0b)[01]+|[0-9]+)([kmgt]?)$/i.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const value = BigInt(digits.replace('#', '0b').toLowerCase()) * (MULTIPLES[unit.toLowerCase()] ?? 1n);
  return value <= MAX_VALUE ? value : undefined;
}

/** The number in the child of that name. Undefined: there is no such child. */
export function bigOf(element: XmlElement, name: string): bigint | undefined {
  const child = childOf(element, name);
  if (child === undefined) return undefined;
  const value = parseScaled(child.text.trim());
  if (value === undefined)
    throw new ImportProblem(`${pathOf(element)}: <${name}> is "${shortened(child.text)}", not a number`, child.line);
  return value;
}

/** As `bigOf`, of at most `max`. */
export function numberOf(element: XmlElement, name: string, max = 0xffff_ffff): number | undefined {
  const value = bigOf(element, name);
  if (value !== undefined && value > BigInt(max))
    throw new ImportProblem(
      `${pathOf(element)}: <${name}> is ${value}, above ${max}`,
      childOf(element, name)?.line ?? element.line,
    );
  return value === undefined ? undefined : Number(value);
}

/** As `numberOf`, and the child must be there. */
export function neededNumber(element: XmlElement, name: string, max?: number): number {
  const value = numberOf(element, name, max);
  if (value === undefined) throw new ImportProblem(`${pathOf(element)}: <${name}> is missing`, element.line);
  return value;
}

export function neededText(element: XmlElement, name: string): string {
  const text = textOf(element, name);
  if (text === undefined || text === '')
    throw new ImportProblem(`${pathOf(element)}: <${name}> is missing`, element.line);
  return text;
}

/** The element's description on one line, else its name. */
export function meaningOf(element: XmlElement): string {
  const texts = [textOf(element, 'description'), textOf(element, 'displayName'), textOf(element, 'name')];
  return shortened(texts.find((text) => text !== undefined && text !== '') ?? '');
}

export function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= MAX_MEANING ? line : `${line.slice(0, MAX_MEANING - 1).trimEnd()}…`;
}

/** For messages: `UART0.CTRL.ENABLE`, or the element's kind where it has no name. */
export function pathOf(element: XmlElement): string {
  const names: string[] = [];
  for (let at: XmlElement | undefined = element; at !== undefined; at = at.parent) {
    const name = at.name === 'device' ? undefined : textOf(at, 'name');
    if (name !== undefined) names.unshift(shortened(name));
  }
  return names.length === 0 || textOf(element, 'name') === undefined
    ? [...names, `<${element.name}>`].join('.')
    : names.join('.');
}

/** Letters, digits and _: a name that programs of the test kit and TypeScript take. */
export function plainName(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_');
}
