/**
 * The rules of checkRegisters about single registers: that the map is consistent, reset values,
 * read-only, reserved, plain, write-one-to-clear and read-to-clear bits, and that a peek has no
 * effect.
 *
 * Called by: checkRegisters, in this order.
 */

import { hex } from '../io-request/io-request.js';
import type { FieldAccess, RegisterDescription, RegisterField } from '../device-model/register-map.js';
import type { Bench } from './bench.js';
import { placeText } from './program.js';
import { readable, steadyValues, type Rule } from './register-rule.js';

export const REGISTER_RULES: readonly Rule[] = [
  mapIsSound,
  resetValues,
  peeksHaveNoEffect,
  readOnlyRegisters,
  reservedBits,
  plainFields,
  clearedByOnes,
  clearedByReads,
];

/** Each register lies in the device's range, each field in its register. */
async function mapIsSound({ fresh, find }: Parameters<Rule>[0]): Promise<void> {
  const bench = await fresh();
  for (const register of bench.registers?.registers ?? []) {
    const { name, offset, size, bar = 0, fields = [] } = register;
    const space = bench.spaces.find((one) => one.bar === bar);
    if (space === undefined || offset + size > space.length) find(`${name}: it lies outside of the device's range`);
    let taken = 0n;
    for (const field of fields) {
      const bits = BigInt(maskOf(field));
      if (field.bits[0] > field.bits[1] || field.bits[1] >= 8 * size)
        find(`${name}.${field.name}: its bits are not in a register of ${8 * size} bits`);
      else if ((taken & bits) !== 0n) find(`${name}.${field.name}: another field has a bit of it`);
      taken |= bits;
    }
  }
}

async function resetValues({ fresh, find }: Parameters<Rule>[0]): Promise<void> {
  for (const when of ['when new', 'after a reset']) {
    const bench = await fresh();
    if (when !== 'when new') bench.reset();
    for (const register of readable(bench)) {
      if (register.reset === undefined) continue;
      const value =
        bench.peek(register.offset, register.size, register.name, register.bar) ?? (await read(bench, register));
      if (((value ^ register.reset) & (register.resetMask ?? 0xffff_ffff)) !== 0)
        find(`${register.name}: it is ${hex(value)} ${when}, the map says ${hex(register.reset)}`);
    }
  }
}

/** A peek gives what the read after it gives, and no other peek or read shows that it was there. */
async function peeksHaveNoEffect({ prepared, find }: Parameters<Rule>[0]): Promise<void> {
  const all = readable(await prepared());
  /** By the name of a steady register: what it is if nothing else was peeked before. */
  const alone = new Map<string, number | undefined>();
  for (const register of all)
    if (register.isVolatile !== true) alone.set(register.name, peek(await prepared(), register));
  for (const register of all) {
    const { name } = register;
    const bench = await prepared();
    const { interruptMoves, clock } = bench;
    const timers = clock.pending;
    const first = peek(bench, register);
    if (first === undefined) continue;
    if (peek(bench, register) !== first) find(`${name}: a second peek gives another value`);
    if (bench.interruptMoves !== interruptMoves) find(`${name}: a peek moves an interrupt`);
    if (clock.pending !== timers) find(`${name}: a peek sets or cancels a timer`);
    for (const other of all)
      if (alone.has(other.name) && peek(bench, other) !== alone.get(other.name))
        find(`${name}: a peek changes ${other.name}`);
    const value = await read(bench, register);
    if (value !== first) find(`${name}: a peek gives ${hex(first)}, the read after it ${hex(value)}`);
  }
}

function peek(bench: Bench, { name, offset, size, bar }: RegisterDescription): number | undefined {
  return bench.peek(offset, size, name, bar);
}

async function readOnlyRegisters({ prepared, find }: Parameters<Rule>[0]): Promise<void> {
  for (const register of readable(await prepared())) {
    const bits = bitsOf(register, 'r', register.access === 'r');
    if (bits === 0 || register.isVolatile === true) continue;
    for (const value of [0xffff_ffff, 0, 0x5555_5555]) {
      const bench = await prepared();
      const before = await look(bench, register);
      const others = JSON.stringify([...steadyValues(bench)]);
      await write(bench, register, value);
      const now = await look(bench, register);
      if (((before ^ now) & bits) !== 0)
        find(
          `${register.name}: write(${placeText(placeOf(register))},${hex(value)}) changes read-only bits from ${hex(before)} to ${hex(now)}`,
        );
      if (register.access === 'r' && JSON.stringify([...steadyValues(bench)]) !== others)
        find(`${register.name}: it is read-only, and a write of ${hex(value)} changes a register`);
    }
  }
}

/** Bits of no field keep their value, whatever is written. */
async function reservedBits({ prepared, find }: Parameters<Rule>[0]): Promise<void> {
  for (const register of readable(await prepared())) {
    const { fields, size, name } = register;
    if (fields === undefined || register.access !== 'rw' || register.isVolatile === true) continue;
    const reserved = (allBits(size) & ~fields.reduce((mask, field) => mask | maskOf(field), 0)) >>> 0;
    const values: number[] = [];
    for (const value of [0xffff_ffff, 0]) {
      const bench = await prepared();
      await write(bench, register, value);
      values.push(((await look(bench, register)) & reserved) >>> 0);
    }
    if (values[0] !== values[1])
      find(`${name}: bits of no field follow what is written: ${hex(((values[0] ?? 0) ^ (values[1] ?? 0)) >>> 0)}`);
  }
}

/** Fields with `access: 'rw'` read as they were written, also in a volatile register. */
async function plainFields({ prepared, find }: Parameters<Rule>[0]): Promise<void> {
  for (const register of readable(await prepared())) {
    const bits = bitsOf(register, 'rw', false);
    if (bits === 0) continue;
    for (const value of [0xffff_ffff, 0, 0x5555_5555, 0xaaaa_aaaa]) {
      const bench = await prepared();
      await write(bench, register, value);
      const now = await look(bench, register);
      if (((now ^ value) & bits) !== 0)
        find(`${register.name}: after a write of ${hex(value)} its fields read as ${hex((now & bits) >>> 0)}`);
    }
  }
}

async function clearedByOnes({ prepared, find, leaveOut }: Parameters<Rule>[0]): Promise<void> {
  for (const register of readable(await prepared()))
    for (const field of register.fields ?? []) {
      if (field.access !== 'w1c') continue;
      const bits = maskOf(field);
      const bench = await prepared();
      const before = ((await look(bench, register)) & bits) >>> 0;
      if (before === 0) leaveOut(`${register.name}.${field.name} is not set after prepare`);
      await write(bench, register, 0);
      if (((await look(bench, register)) & bits) >>> 0 !== before)
        find(`${register.name}.${field.name}: a write of 0 changes it`);
      await write(bench, register, bits);
      if (((await look(bench, register)) & bits) !== 0)
        find(`${register.name}.${field.name}: a write of 1 does not clear it`);
    }
}

async function clearedByReads({ prepared, find, leaveOut }: Parameters<Rule>[0]): Promise<void> {
  for (const register of readable(await prepared()))
    for (const field of register.fields ?? []) {
      if (field.access !== 'rc') continue;
      const bench = await prepared();
      const bits = maskOf(field);
      if (((await look(bench, register)) & bits) === 0)
        leaveOut(`${register.name}.${field.name} is not set after prepare`);
      await read(bench, register);
      if (((await look(bench, register)) & bits) !== 0)
        find(`${register.name}.${field.name}: a read does not clear it`);
    }
}

/**
 * The bits of fields with this access. Without such a field, if `isWhole`: all bits of the
 * register.
 */
function bitsOf({ fields, size }: RegisterDescription, access: FieldAccess, isWhole: boolean): number {
  const explicit = (fields ?? []).filter((field) => field.access === access);
  if (explicit.length === 0) return isWhole ? allBits(size) : 0;
  return explicit.reduce((mask, field) => mask | maskOf(field), 0) >>> 0;
}

function maskOf({ bits: [low, high] }: RegisterField): number {
  return (allOnesOf(high - low + 1) << low) >>> 0;
}

function allOnesOf(bits: number): number {
  return bits >= 32 ? 0xffff_ffff : 2 ** bits - 1;
}

function allBits(size: number): number {
  return allOnesOf(8 * size);
}

/** The register's value: by a peek, or by a read if it cannot be peeked. */
async function look(bench: Bench, register: RegisterDescription): Promise<number> {
  return bench.peek(register.offset, register.size, register.name, register.bar) ?? (await read(bench, register));
}

async function read(bench: Bench, { offset, size, bar }: RegisterDescription): Promise<number> {
  return bench.read(offset, size, bar);
}

async function write(bench: Bench, { offset, size, bar }: RegisterDescription, value: number): Promise<void> {
  await bench.write(offset, size, value, bar);
}

function placeOf({ name, offset, size, bar = 0 }: RegisterDescription): Parameters<typeof placeText>[0] {
  return { name, offset, size, bar };
}
