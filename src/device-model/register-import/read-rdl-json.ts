/**
 * readRdlJson: the registers of a SystemRDL description that was compiled to JSON.
 *
 * SystemRDL has no JSON format of its own. Read is that of the exporter which systemrdl-compiler
 * documents (`examples/export_json.py`), and what its descendants add to a register or field:
 * `regwidth` or `regsize`, `desc`, `se_onread`, `se_onwrite`, `woclr` and `encode`.
 *
 * Called by: importRegisters.
 */

import type { FieldAccess, FieldValue } from '../register-map.js';
import type { ChosenBlock, DescribedField, DescribedRegister } from './described-register.js';
import { ImportProblem } from './import-problem.js';
import { plainName, shortened } from './svd-values.js';

const MAX_DEPTH = 64;
/** What SystemRDL's `regwidth` is where nothing says otherwise. */
const DEFAULT_WIDTH = 32;
const KINDS = ['addrmap', 'regfile', 'reg', 'mem', 'field'];
const ACCESSES = ['rw', 'r', 'w', 'rw1', 'w1', 'na'];
const WRITES: Readonly<Record<string, string>> = {
  woset: 'a write of 1 sets',
  woclr: 'a write of 1 clears',
  wot: 'a write of 1 toggles',
  wzs: 'a write of 0 sets',
  wzc: 'a write of 0 clears',
  wzt: 'a write of 0 toggles',
  wclr: 'any write clears',
  wset: 'any write sets',
  wuser: 'a write has an effect of its own',
};
const READS: Readonly<Record<string, string>> = {
  rclr: 'a read clears',
  rset: 'a read sets',
  ruser: 'a read has an effect of its own',
};

type Json = Readonly<Record<string, unknown>>;

/** Throws ImportProblem. `block`: an `addrmap` within the file. Default: the outermost one. */
export function readRdlJson(text: string, block: string | undefined): ChosenBlock {
  const top = parse(text);
  if (top['type'] !== 'addrmap')
    throw new ImportProblem(
      'the file is not what the JSON exporter of systemrdl-compiler writes: its outermost "type" is not "addrmap"',
      undefined,
      'Export it with examples/export_json.py of systemrdl-compiler',
    );
  const maps = [...addressMaps(top, '', 0)];
  const blocks = maps.map(({ name }) => name);
  const chosen = block === undefined ? maps[0] : maps.find(({ name }) => name === block);
  if (chosen === undefined) return { blocks, found: undefined };
  const notes: string[] = [];
  const registers: DescribedRegister[] = [];
  readChildren(chosen.map, { registers, notes }, '', 0, chosen.name);
  return {
    blocks,
    found: {
      name: chosen.name,
      source: `addrmap ${chosen.name}`,
      meaning: meaningOf(chosen.map, chosen.name),
      registers: narrowed(registers),
      notes,
    },
  };
}

function parse(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ImportProblem(`the file is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  return isObject(value) ? value : {};
}

function* addressMaps(
  map: Json,
  path: string,
  depth: number,
): Generator<{ readonly name: string; readonly map: Json }> {
  const name = path + nameOf(map, path);
  yield { name, map };
  if (depth < MAX_DEPTH)
    for (const child of childrenOf(map, name))
      if (child['type'] === 'addrmap') yield* addressMaps(child, depth === 0 ? '' : `${name}.`, depth + 1);
}

interface Target {
  readonly registers: DescribedRegister[];
  readonly notes: string[];
}

function readChildren(parent: Json, target: Target, prefix: string, base: number, path: string, depth = 0): void {
  if (depth > MAX_DEPTH) throw new ImportProblem(`${path}: components nest deeper than ${MAX_DEPTH}`);
  for (const child of childrenOf(parent, path)) {
    const name = nameOf(child, path);
    const at = `${path}.${name}`;
    const kind = child['type'];
    if (typeof kind !== 'string' || !KINDS.includes(kind) || kind === 'field')
      throw new ImportProblem(`${at}: its "type" is ${shown(kind)}, not one of ${KINDS.join(', ')}`);
    const offset = base + numberIn(child, 'addr_offset', at, 0xffff_ffff);
    if (kind === 'reg') target.registers.push(registerOf(child, prefix + plainName(name), offset, at));
    else if (kind === 'mem') target.notes.push(`${at} is a memory, which a register map does not have`);
    else readChildren(child, target, `${prefix}${plainName(name)}_`, offset, at, depth + 1);
  }
}

function registerOf(reg: Json, name: string, offset: number, at: string): DescribedRegister {
  const fields = childrenOf(reg, at).map((field) => fieldOf(field, at));
  const highest = fields.reduce((bit, { field }) => Math.max(bit, field.bits[1]), 0);
  const key = reg['regwidth'] === undefined ? 'regsize' : 'regwidth';
  const width = reg[key] === undefined ? (highest < 32 ? DEFAULT_WIDTH : 64) : numberIn(reg, key, at, 64);
  if (highest >= width) throw new ImportProblem(`${at}: a field has bit ${highest}, and the register ${width} bits`);
  const isReadable = fields.some(({ field }) => field.access !== 'w');
  const isWritable = fields.some(({ field }) => field.access !== 'r' && field.access !== 'rc');
  const known = fields.filter(({ reset }) => reset !== undefined);
  const masks = known.map(
    ({
      field: {
        bits: [low, high],
      },
    }) => (2n ** BigInt(high - low + 1) - 1n) << BigInt(low),
  );
  return {
    name,
    offset,
    width,
    access: isReadable && isWritable ? 'rw' : isWritable ? 'w' : 'r',
    meaning: meaningOf(reg, name),
    reset: known.reduce((value, { field, reset = 0n }) => value | (reset << BigInt(field.bits[0])), 0n),
    resetMask: masks.reduce((all, mask) => all | mask, 0n),
    isVolatile: fields.some(({ isVolatile }) => isVolatile),
    fields: fields.map(({ field }) => field),
  };
}

interface FieldOfRegister {
  readonly field: DescribedField;
  /** Undefined: the description gives none. */
  readonly reset: bigint | undefined;
  /** Whether a read changes it in a way that a map cannot express. */
  readonly isVolatile: boolean;
}

function fieldOf(json: Json, parent: string): FieldOfRegister {
  const name = nameOf(json, parent);
  const at = `${parent}.${name}`;
  if (json['type'] !== 'field')
    throw new ImportProblem(`${at}: its "type" is not "field", and a register has only fields`);
  const low = numberIn(json, 'lsb', at, 63);
  const high = numberIn(json, 'msb', at, 63);
  if (low > high) throw new ImportProblem(`${at}: its "lsb" ${low} is above its "msb" ${high}`);
  const reset = json['reset'] ?? undefined;
  const limit = 2n ** BigInt(high - low + 1);
  // A reset that is another field's value, which an exporter may write as its path, is not known.
  const value = typeof reset === 'number' ? bigIn(json, 'reset', at) : undefined;
  if (value !== undefined && value >= limit)
    throw new ImportProblem(`${at}: its "reset" ${value} does not fit into ${high - low + 1} bits`);
  const { access, words } = accessOf(json, at);
  return {
    reset: value,
    isVolatile: READS[json['se_onread'] as string] !== undefined && access !== 'rc',
    field: {
      bits: [low, high],
      name: plainName(name),
      meaning: meaningOf(json, name) + (words === '' ? '' : ` (${words})`),
      access,
      values: valuesOf(json, at, limit),
    },
  };
}

function accessOf(json: Json, at: string): { readonly access: FieldAccess | undefined; readonly words: string } {
  const sw = json['sw_access'];
  if (typeof sw !== 'string' || !ACCESSES.includes(sw))
    throw new ImportProblem(`${at}: its "sw_access" is ${shown(sw)}, not one of ${ACCESSES.join(', ')}`);
  const write = json['se_onwrite'] ?? (isSet(json['woclr']) ? 'woclr' : undefined);
  const read = json['se_onread'] ?? (isSet(json['rclr']) ? 'rclr' : undefined);
  const words = [
    WRITES[write as string],
    READS[read as string],
    sw.endsWith('1') ? 'the first write counts' : undefined,
  ];
  const unknown = { access: undefined, words: words.filter((word) => word !== undefined).join(', ') };
  const known = (access: FieldAccess): { access: FieldAccess; words: string } => ({ access, words: '' });
  if (sw === 'na' || sw === 'w' || sw === 'w1') return known('w');
  if (read !== undefined) return read === 'rclr' && sw === 'r' ? known('rc') : unknown;
  if (sw === 'r') return known('r');
  if (sw === 'rw1') return unknown;
  return write === undefined ? known('rw') : write === 'woclr' ? known('w1c') : unknown;
}

function isSet(value: unknown): boolean {
  return value === true || value === 1;
}

function valuesOf(json: Json, at: string, limit: bigint): readonly FieldValue[] {
  const list = json['encode'];
  if (!Array.isArray(list)) return [];
  return list.filter(isObject).flatMap((one) => {
    const value = bigIn(one, 'value', `${at}.encode`);
    const name = nameOf({ inst_name: one['name'] }, at);
    return value >= limit ? [] : [{ value: Number(value), name: plainName(name), meaning: meaningOf(one, name) }];
  });
}

/** A register of default width is narrower where the next one begins within it. */
function narrowed(registers: readonly DescribedRegister[]): readonly DescribedRegister[] {
  const offsets = registers.map(({ offset }) => offset).sort((a, b) => a - b);
  return registers.map((register) => {
    const next = offsets.find((offset) => offset > register.offset);
    const bits = next === undefined ? 64 : 8 * (next - register.offset);
    const room = bits >= 64 ? 64 : bits >= 32 ? 32 : bits >= 16 ? 16 : 8;
    const used = register.fields.reduce((bits, { bits: [, high] }) => Math.max(bits, high + 1), 0);
    return room < register.width && used <= room ? { ...register, width: room } : register;
  });
}

function meaningOf(json: Json, name: string): string {
  const { desc } = json;
  return typeof desc === 'string' && desc.trim() !== '' ? shortened(desc) : name;
}

function nameOf(json: Json, parent: string): string {
  const name = json['inst_name'];
  if (typeof name !== 'string' || name === '')
    throw new ImportProblem(`${parent === '' ? 'the file' : parent}: a component has no "inst_name"`);
  return shortened(name);
}

function childrenOf(json: Json, at: string): readonly Json[] {
  const { children } = json;
  if (!Array.isArray(children) || !children.every(isObject))
    throw new ImportProblem(`${at}: its "children" is not a list of components`);
  return children;
}

function numberIn(json: Json, key: string, at: string, max: number): number {
  const value = json[key];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max)
    throw new ImportProblem(`${at}: its "${key}" is ${shown(value)}, not a number of 0 to ${max}`);
  return value;
}

function bigIn(json: Json, key: string, at: string): bigint {
  return BigInt(numberIn(json, key, at, Number.MAX_SAFE_INTEGER));
}

/** For messages. */
function shown(value: unknown): string {
  return value === undefined ? 'missing' : shortened(JSON.stringify(value));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
