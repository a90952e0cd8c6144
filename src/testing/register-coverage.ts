/**
 * RegisterCoverage: which registers and fields of a device were read and written, and with which
 * values.
 *
 * Called by: an author's tests, through `observe`, which wraps a bench.
 */

import { hex } from '../io-request/io-request.js';
import type { AccessSize } from '../device-model/device.js';
import type { RegisterDescription, RegisterField, RegisterMap } from '../device-model/register-map.js';
import type { Bench } from './bench.js';

/** Different values that are kept of a field. A text ends in … once there are that many. */
const MAX_VALUES = 8;

/** What was done to one field, or to a register without fields (`field` undefined). */
export interface FieldCoverage {
  readonly register: string;
  readonly field: string | undefined;
  readonly reads: number;
  readonly writes: number;
  /** Different values, at most eight, in the order of their first access. */
  readonly read: readonly number[];
  readonly written: readonly number[];
  /** Names of its values, where the map has them. */
  readonly names: Readonly<Record<number, string>>;
  /** Whether the map allows reads and writes. */
  readonly isReadable: boolean;
  readonly isWritable: boolean;
}

interface Counted {
  readonly register: RegisterDescription;
  readonly field: RegisterField | undefined;
  reads: number;
  writes: number;
  readonly read: Set<number>;
  readonly written: Set<number>;
}

export class RegisterCoverage {
  /** Accesses that no register of the map has: another offset or another size. */
  otherAccesses = 0;
  readonly #counted: Counted[] = [];
  readonly #byPlace = new Map<string, Counted[]>();

  constructor({ registers }: RegisterMap) {
    for (const register of registers) {
      const key = keyOf(register.bar ?? 0, register.offset, register.size);
      for (const field of register.fields ?? [undefined]) {
        const counted = { register, field, reads: 0, writes: 0, read: new Set<number>(), written: new Set<number>() };
        this.#counted.push(counted);
        this.#byPlace.set(key, [...(this.#byPlace.get(key) ?? []), counted]);
      }
    }
  }

  /** The same bench, whose accesses are counted from now on. */
  observe(bench: Bench): Bench {
    return new Proxy(bench, {
      get: (target, key) => {
        if (key === 'read')
          return async (...[offset, size, bar = 0]: Parameters<Bench['read']>) => {
            const value = await target.read(offset, size, bar);
            this.note('read', bar, offset, size, value);
            return value;
          };
        if (key === 'write')
          return async (...[offset, size, value, bar = 0]: Parameters<Bench['write']>) => {
            this.note('write', bar, offset, size, value);
            await target.write(offset, size, value, bar);
          };
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  note(kind: 'read' | 'write', bar: number, offset: number, size: AccessSize, value: number): void {
    const all = this.#byPlace.get(keyOf(bar, offset, size));
    if (all === undefined) {
      this.otherAccesses++;
      return;
    }
    for (const counted of all) {
      const values = kind === 'read' ? counted.read : counted.written;
      if (kind === 'read') counted.reads++;
      else counted.writes++;
      if (values.size < MAX_VALUES) values.add(partOf(value, counted.field));
    }
  }

  get fields(): readonly FieldCoverage[] {
    return this.#counted.map(({ register, field, reads, writes, read, written }) => ({
      register: register.name,
      field: field?.name,
      reads,
      writes,
      read: [...read],
      written: [...written],
      names: Object.fromEntries((field?.values ?? []).map(({ value, name }) => [value, name])),
      isReadable: register.access !== 'w' && field?.access !== 'w',
      isWritable: register.access !== 'r' && field?.access !== 'r',
    }));
  }

  /** `REGISTER.FIELD is never read`, for all that the map allows and no access did. */
  get missing(): readonly string[] {
    return this.fields.flatMap((one) => {
      const name = one.field === undefined ? one.register : `${one.register}.${one.field}`;
      return [
        ...(one.isReadable && one.reads === 0 ? [`${name} is never read`] : []),
        ...(one.isWritable && one.writes === 0 ? [`${name} is never written`] : []),
      ];
    });
  }

  /** A line for each field, and one for accesses beside the map. */
  toString(): string {
    const rows = this.fields.map(({ register, field, reads, writes, read, written, names }) => [
      field === undefined ? register : `${register}.${field}`,
      reads === 0 ? 'not read' : `read ${reads}× ${valuesText(read, names)}`,
      writes === 0 ? 'not written' : `written ${writes}× ${valuesText(written, names)}`,
    ]);
    const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
    const lines = rows.map(([name = '', reads = '', writes = '']) =>
      `${name.padEnd(widths[0] ?? 0)}  ${reads.padEnd(widths[1] ?? 0)}  ${writes}`.trimEnd(),
    );
    return [...lines, `${this.otherAccesses} accesses beside the register map`].join('\n');
  }
}

function keyOf(bar: number, offset: number, size: number): string {
  return `${bar}:${offset}/${size}`;
}

function partOf(value: number, field: RegisterField | undefined): number {
  if (field === undefined) return value;
  const [low, high] = field.bits;
  return Math.floor(value / 2 ** low) % 2 ** (high - low + 1);
}

function valuesText(values: readonly number[], names: Readonly<Record<number, string>>): string {
  const texts = values.map((value) => {
    const name = names[value];
    return name === undefined ? hex(value) : `${hex(value)} ${name}`;
  });
  return `(${texts.join(Object.keys(names).length > 0 ? ', ' : ' ')}${values.length === MAX_VALUES ? ' …' : ''})`;
}
