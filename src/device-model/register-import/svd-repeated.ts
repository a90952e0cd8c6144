/**
 * repeated: the copies of an element with `dim`: arrays and lists of peripherals, clusters,
 * registers and fields in CMSIS-SVD.
 *
 * Called by: read-svd.ts and svd-fields.ts, for an element with all that it inherits.
 */

import { ImportProblem } from './import-problem.js';
import { neededNumber, neededText, numberOf, pathOf, plainName, shortened } from './svd-values.js';
import { textOf, type XmlElement } from './xml-tree.js';

/** Copies of a register, cluster or peripheral. A FIFO that a file lists word by word has 1024. */
const MAX_COPIES = 8192;

export interface Copy {
  /** Letters, digits and _. */
  readonly name: string;
  /** From the first copy, in bytes, of a field in bits. */
  readonly distance: number;
}

/** One copy of an element without `dim`. Rejects with ImportProblem above `max` copies. */
export function repeated(element: XmlElement, max = MAX_COPIES): readonly Copy[] {
  const name = neededText(element, 'name');
  const count = numberOf(element, 'dim', max);
  if (count === undefined) return [{ name: plainName(name), distance: 0 }];
  const increment = neededNumber(element, 'dimIncrement');
  const indices = indicesOf(element, name, count);
  if (count > 1 && !name.includes('%s'))
    throw new ImportProblem(`${pathOf(element)}: <dim> is ${count}, and the name has no %s`, element.line);
  return indices.map((index, number) => ({
    name: plainName(name.replace(/\[%s\]|%s/g, index)),
    distance: number * increment,
  }));
}

function indicesOf(element: XmlElement, name: string, count: number): readonly string[] {
  const numbers = Array.from({ length: count }, (_, index) => String(index));
  const text = textOf(element, 'dimIndex');
  if (text === undefined || name.includes('[%s]')) return numbers;
  const [, from, to] = /^([0-9]+|[A-Z])-([0-9]+|[A-Z])$/.exec(text.replaceAll(' ', '')) ?? [];
  const indices =
    from === undefined || to === undefined
      ? text.split(',').map((one) => one.trim())
      : numbers.map((_, index) => following(from, index));
  const isWhole = to === undefined || indices.at(-1) === to;
  if (indices.length !== count || !isWhole)
    throw new ImportProblem(
      `${pathOf(element)}: <dimIndex> ${shortened(text)} does not name ${count} elements, which <dim> says`,
      element.line,
    );
  return indices;
}

/** `3` and 2 is 5, `A` and 2 is C. */
function following(first: string, by: number): string {
  return /[0-9]/.test(first) ? String(Number(first) + by) : String.fromCharCode(first.charCodeAt(0) + by);
}
