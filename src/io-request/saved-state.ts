/**
 * SavedState: reads the fields of a state that was saved, each with its type and bounds.
 *
 * Called by: whatever restores a saved state: devices, interrupt controllers, snapshots
 * (vm/snapshot/).
 *
 * A state comes from a file that anyone may have written. So nothing in it is believed: a field
 * that is missing, of another type or out of its bounds throws SNAPSHOT_INVALID, which names the
 * owner of the state and the field.
 */

import { UpcallError } from './upcall-error.js';

const SHOWN_CHARACTERS = 40;

export class SavedState {
  readonly #owner: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  /**
   * `owner` names the device or part, for messages. Throws SNAPSHOT_INVALID unless it is an object.
   */
  constructor(owner: string, state: unknown) {
    this.#owner = owner;
    if (typeof state !== 'object' || state === null || Array.isArray(state))
      throw savedStateError(owner, `is ${shown(state)}, not an object`);
    this.#fields = state as Record<string, unknown>;
  }

  /** Undefined: the field is missing. */
  value(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }

  integer(name: string, min: number, max: number): number {
    const value = this.value(name);
    if (isIntegerIn(value, min, max)) return value;
    throw this.#unexpected(name, value, `a whole number from ${min} to ${max}`);
  }

  /** A 32-bit word, signed or not, as an int32. */
  word(name: string): number {
    return this.integer(name, -0x8000_0000, 0xffff_ffff) | 0;
  }

  byte(name: string): number {
    return this.integer(name, 0, 0xff);
  }

  /** Any finite number. */
  number(name: string): number {
    const value = this.value(name);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.#unexpected(name, value, 'a finite number');
  }

  /** A finite number, or `infinite` where the state has null: JSON has no infinity. */
  numberOr<Other>(name: string, infinite: Other): number | Other {
    return this.value(name) === null ? infinite : this.number(name);
  }

  boolean(name: string): boolean {
    const value = this.value(name);
    if (typeof value === 'boolean') return value;
    throw this.#unexpected(name, value, 'true or false');
  }

  text(name: string, maxLength: number): string {
    const value = this.value(name);
    if (typeof value === 'string' && value.length <= maxLength) return value;
    throw this.#unexpected(name, value, `a text of at most ${maxLength} characters`);
  }

  oneOf<Value extends string | number>(name: string, values: readonly Value[]): Value {
    const value = this.value(name);
    const found = values.find((one) => one === value);
    if (found !== undefined) return found;
    throw this.#unexpected(name, value, `one of ${values.join(', ')}`);
  }

  /** As `read` returns, or undefined where the state has null. */
  optional<Value>(name: string, read: (from: this, name: string) => Value): Value | undefined {
    return this.value(name) === null ? undefined : read(this, name);
  }

  list(name: string, maxLength: number): readonly unknown[] {
    const value = this.value(name);
    if (Array.isArray(value) && value.length <= maxLength) return value;
    throw this.#unexpected(name, value, `a list of at most ${maxLength}`);
  }

  /** Whole numbers. `length`: exactly that many. */
  integers(name: string, length: number, min: number, max: number): readonly number[] {
    const numbers = this.integersUpTo(name, length, min, max);
    if (numbers.length === length) return numbers;
    throw this.#unexpected(name, numbers, `${length} numbers`);
  }

  /** At most `maxLength` whole numbers. */
  integersUpTo(name: string, maxLength: number, min: number, max: number): readonly number[] {
    return this.list(name, maxLength).map((value) => {
      if (isIntegerIn(value, min, max)) return value;
      throw this.#unexpected(name, value, `whole numbers from ${min} to ${max}`);
    });
  }

  /** A state within this one. */
  part(name: string): SavedState {
    return new SavedState(`${this.#owner}: ${name}`, this.value(name));
  }

  /** Each element of a list as a state. */
  parts(name: string, maxLength: number): readonly SavedState[] {
    return this.list(name, maxLength).map((state, index) => new SavedState(`${this.#owner}: ${name} ${index}`, state));
  }

  /** The error for a field with a value that only the caller can judge. */
  unexpected(name: string, expected: string): UpcallError {
    return this.#unexpected(name, this.value(name), expected);
  }

  #unexpected(name: string, value: unknown, expected: string): UpcallError {
    return savedStateError(this.#owner, `has ${name} ${shown(value)}: expected ${expected}`);
  }
}

/** SNAPSHOT_INVALID: the saved state of `owner` … */
export function savedStateError(owner: string, fact: string): UpcallError {
  return new UpcallError('SNAPSHOT_INVALID', `the saved state of ${owner} ${fact}`, {
    remedy: 'Save the VM again, with this version of upcall',
  });
}

/** What `numberOr` reads: JSON has no infinity. */
export function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function isIntegerIn(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = typeof value === 'function' ? 'a function' : JSON.stringify(value);
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
