/**
 * RegisterState: the values of the registers, and what the register map alone says of an access.
 * What else an access does is the device's.
 *
 * Reserved bits and read-only bits keep their values. A field whose access the map does not name is
 * stored as it is written.
 */

import type { AccessSize } from 'upcall';
import { registers, type Register, type RegisterName } from './new-device.registers.ts';

export type Values = Readonly<Partial<Record<RegisterName, number>>>;

export class RegisterState {
  readonly #byPlace = new Map<string, Register>();
  readonly #values = new Map<RegisterName, number>();

  constructor() {
    for (const register of registers.registers)
      for (const direction of register.access)
        this.#byPlace.set(placeOf(direction, register.offset, register.size), register);
    this.reset();
  }

  /** The register that a guest's access reaches. Undefined: there is none of this offset and size. */
  at(direction: 'r' | 'w', offset: number, size: AccessSize): Register | undefined {
    return this.#byPlace.get(placeOf(direction, offset, size));
  }

  get(name: RegisterName): number {
    return this.#values.get(name) ?? 0;
  }

  /** For the device itself, which may change any bit. */
  set(name: RegisterName, value: number): void {
    this.#values.set(name, value >>> 0);
  }

  /** What a guest reads. It clears fields with `access: 'rc'`. */
  read({ name, fields = [] }: Register): number {
    const value = this.get(name);
    for (const field of fields) if (field.access === 'rc') this.set(name, this.get(name) & ~maskOf(field.bits));
    return value;
  }

  /** Stores what a guest writes. */
  write({ name, fields }: Register, written: number): void {
    let value = fields === undefined ? written : this.get(name);
    for (const { bits, access } of fields ?? []) {
      const mask = maskOf(bits);
      if (access === 'w1c') value &= ~(written & mask);
      else if (access === 'rw' || access === undefined) value = (value & ~mask) | (written & mask);
    }
    this.set(name, value);
  }

  reset(): void {
    for (const { name, reset = 0 } of registers.registers as readonly Register[]) this.set(name, reset);
  }

  save(): Values {
    return Object.fromEntries(this.#values) as Values;
  }

  restore(values: Values): void {
    for (const name of this.#values.keys()) this.set(name, values[name] ?? this.get(name));
  }
}

function placeOf(direction: string, offset: number, size: number): string {
  return `${direction}${offset}/${size}`;
}

function maskOf([low, high]: readonly [number, number]): number {
  return ((2 ** (high - low + 1) - 1) * 2 ** low) >>> 0;
}
