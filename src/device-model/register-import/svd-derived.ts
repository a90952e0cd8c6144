/**
 * Derivation: what CMSIS-SVD's `derivedFrom` means. An element has all that the named one has, but
 * for what it says itself. Works for peripherals, clusters, registers, fields and enumerations.
 *
 * Called by: read-svd.ts and svd-fields.ts, for each element before they look at its children.
 */

import { ImportProblem } from './import-problem.js';
import { pathOf, shortened } from './svd-values.js';
import { textOf, type XmlElement } from './xml-tree.js';

/** Elements that hold named ones, and are no part of their paths. */
const CONTAINERS = ['peripherals', 'registers', 'fields'];
/** Says how often an element is there, which a name without %s cannot take over. */
const REPETITION = ['dim', 'dimIncrement', 'dimIndex', 'dimName', 'dimArrayIndex'];

/** Elements that each derive from the next one. */
const MAX_CHAIN = 64;

export class Derivation {
  readonly #resolved = new Map<XmlElement, XmlElement>();
  readonly #open = new Set<XmlElement>();

  /**
   * The element with what it inherits. Its children are not resolved, and keep their parents: a
   * name in them counts where it was written.
   */
  resolve(element: XmlElement): XmlElement {
    const path = element.attributes['derivedFrom'];
    if (path === undefined) return element;
    const known = this.#resolved.get(element);
    if (known !== undefined) return known;
    const problem = (what: string): never => {
      throw new ImportProblem(`${pathOf(element)}: derivedFrom="${shortened(path)}" ${what}`, element.line);
    };
    if (this.#open.has(element)) problem('leads back to itself');
    if (this.#open.size >= MAX_CHAIN) problem(`is one of more than ${MAX_CHAIN} in a row`);
    this.#open.add(element);
    const base = this.#find(element, path) ?? problem(`names no ${element.name} of this file`);
    const merged = inherit(this.resolve(base), element);
    this.#open.delete(element);
    this.#resolved.set(element, merged);
    return merged;
  }

  /** Looks beside the element first, then beside each element around it. */
  #find(element: XmlElement, path: string): XmlElement | undefined {
    const names = path.split('.');
    for (let scope = element.parent; scope !== undefined; scope = scope.parent) {
      const found = this.#descend(scope, names, element);
      if (found !== undefined) return found;
    }
    return element.name === 'enumeratedValues' ? enumerationNamed(element, names.at(-1) ?? '') : undefined;
  }

  #descend(scope: XmlElement, [name, ...rest]: readonly string[], wanted: XmlElement): XmlElement | undefined {
    // The scope that is just being resolved has nothing yet that it could inherit.
    const whole = this.#open.has(scope) ? scope : this.resolve(scope);
    for (const child of whole.children.flatMap((one) => (CONTAINERS.includes(one.name) ? one.children : [one]))) {
      if (child === wanted || textOf(child, 'name') !== name) continue;
      if (rest.length > 0) {
        const found = this.#descend(child, rest, wanted);
        if (found !== undefined) return found;
      } else if (child.name === wanted.name) return child;
    }
    return undefined;
  }
}

/** Files name an enumeration of another register of the peripheral by its name alone. */
function enumerationNamed(element: XmlElement, name: string): XmlElement | undefined {
  let peripheral = element.parent;
  while (peripheral !== undefined && peripheral.name !== 'peripheral') peripheral = peripheral.parent;
  const search = (at: XmlElement): XmlElement | undefined => {
    for (const child of at.children) {
      const isIt = child.name === 'enumeratedValues' && child !== element && textOf(child, 'name') === name;
      const found = isIt ? child : search(child);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return peripheral === undefined ? undefined : search(peripheral);
}

function inherit(base: XmlElement, own: XmlElement): XmlElement {
  const isRepeated = textOf(own, 'name')?.includes('%s') ?? true;
  const kept = base.children.filter(
    ({ name }) => !own.children.some((child) => child.name === name) && (isRepeated || !REPETITION.includes(name)),
  );
  return { ...own, children: [...kept, ...own.children.map((child) => mergedContainer(base, child))] };
}

/** Registers and fields of the base stay unless the element has one of that name. */
function mergedContainer(base: XmlElement, own: XmlElement): XmlElement {
  const other = CONTAINERS.includes(own.name) && base.children.find(({ name }) => name === own.name);
  if (other === false || other === undefined) return own;
  const names = new Set(own.children.map((child) => textOf(child, 'name')));
  return {
    ...own,
    children: [...other.children.filter((child) => !names.has(textOf(child, 'name'))), ...own.children],
  };
}
