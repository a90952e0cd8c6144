/**
 * LineOwners: the names of the devices that drive a VM's interrupt lines, for the operator.
 *
 * Called by: Attachments, which lets DeviceLines and ThreadClient add the owners of their outputs;
 * VmInterrupts, for tables of lines.
 * Threads: the Service VM's.
 *
 * An owner has a number, so that a thread can name it in a word. It keeps the number after its
 * device has gone: a name in a table may be of the past.
 */

/** A name, or the one that the object has when it is asked. */
export type LineOwner = string | { readonly name: string };

/** Owners of a VM with a number of their own. Further ones are nameless. */
export const MAX_LINE_OWNERS = 1024;
/** The number of an owner without a name. */
export const NAMELESS = 0;

export class LineOwners {
  /** By number. */
  readonly #owners: (LineOwner | undefined)[] = [undefined];
  readonly #numbers = new Map<LineOwner, number>();
  /** By line, in the order in which they were added. */
  readonly #byLine = new Map<number, Set<number>>();

  /** The number of `owner`, which is the same at each call. */
  numberOf(owner: LineOwner | undefined): number {
    if (owner === undefined) return NAMELESS;
    const known = this.#numbers.get(owner);
    if (known !== undefined) return known;
    if (this.#owners.length > MAX_LINE_OWNERS) return NAMELESS;
    this.#numbers.set(owner, this.#owners.length);
    return this.#owners.push(owner) - 1;
  }

  /** `owner` has an output to line `line`. Returns its number. */
  add(line: number, owner: LineOwner | undefined): number {
    const number = this.numberOf(owner);
    if (number === NAMELESS) return number;
    const numbers = this.#byLine.get(line) ?? new Set();
    this.#byLine.set(line, numbers.add(number));
    return number;
  }

  /** Undefined for a number without a name. */
  name(number: number): string | undefined {
    const owner = this.#owners[number];
    return typeof owner === 'object' ? owner.name : owner;
  }

  /** The names of the owners of line `line`, each once. */
  of(line: number): readonly string[] {
    const names = [...(this.#byLine.get(line) ?? [])].map((number) => this.name(number));
    return [...new Set(names.filter((name) => name !== undefined))];
  }
}
