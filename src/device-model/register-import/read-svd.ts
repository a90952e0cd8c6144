/**
 * readSvd: the registers of one peripheral of a CMSIS-SVD file, the description that makers of
 * microcontrollers publish.
 * Source: CMSIS-SVD schema 1.3.
 *
 * Called by: importRegisters.
 */

import type { ChosenBlock, DescribedField, DescribedRegister } from './described-register.js';
import { ImportProblem } from './import-problem.js';
import { Derivation } from './svd-derived.js';
import { accessNote, accessOf, fieldAccess, readFields, type SvdAccess } from './svd-fields.js';
import { repeated } from './svd-repeated.js';
import { bigOf, meaningOf, neededNumber, numberOf, pathOf } from './svd-values.js';
import { childOf, parseXml, textOf, type XmlElement } from './xml-tree.js';

/**
 * Registers, clusters, fields and named values of one peripheral, and peripherals. The largest
 * peripherals of real files have some ten thousand.
 */
const MAX_ENTRIES = 200_000;

/** What registers inherit from what is around them. */
interface Properties {
  readonly size: number;
  readonly access: string | undefined;
  readonly reset: bigint | undefined;
  readonly resetMask: bigint | undefined;
}

/** Rejects with ImportProblem. `block` is the name of the peripheral. Default: the only one. */
export async function readSvd(text: string, block: string | undefined): Promise<ChosenBlock> {
  const device = await parseXml(text);
  if (device.name !== 'device')
    throw new ImportProblem(`the file begins with <${device.name}>, and one of CMSIS-SVD with <device>`, device.line);
  const unit = numberOf(device, 'addressUnitBits') ?? 8;
  // Real files that say 32 count bytes all the same.
  const notes = unit === 8 ? [] : [`addressUnitBits is ${unit}, and offsets are taken as bytes`];
  const derivation = new Derivation();
  const written = childOf(device, 'peripherals')?.children.filter(({ name }) => name === 'peripheral') ?? [];
  const peripherals = written.map((one) => derivation.resolve(one));
  const named: { readonly name: string; readonly peripheral: XmlElement }[] = [];
  for (const peripheral of peripherals)
    for (const { name } of repeated(peripheral)) {
      named.push({ name, peripheral });
      if (named.length > MAX_ENTRIES) throw new ImportProblem(`it has more than ${MAX_ENTRIES} peripherals`);
    }
  const chosen = block === undefined && named.length === 1 ? named[0] : named.find(({ name }) => name === block);
  if (chosen === undefined) return { blocks: named.map(({ name }) => name), found: undefined };
  const { name, peripheral } = chosen;
  const outer = propertiesOf(
    peripheral,
    propertiesOf(device, { size: 32, access: undefined, reset: undefined, resetMask: undefined }),
  );
  const target: Target = { derivation, registers: [], entries: 0 };
  const container = childOf(peripheral, 'registers');
  if (container !== undefined) readChildren(container, target, outer, '', 0);
  const whole = textOf(device, 'name');
  return {
    blocks: named.map((one) => one.name),
    found: {
      name,
      source: `${name}${whole === undefined ? '' : ` of ${whole}`}`,
      meaning: meaningOf(peripheral),
      registers: target.registers,
      notes,
    },
  };
}

interface Target {
  readonly derivation: Derivation;
  readonly registers: DescribedRegister[];
  entries: number;
}

/** Registers and clusters. Those of a cluster begin with its name. */
function readChildren(element: XmlElement, target: Target, outer: Properties, prefix: string, base: number): void {
  for (const written of element.children) {
    if (written.name !== 'cluster' && written.name !== 'register') continue;
    const child = target.derivation.resolve(written);
    const offset = base + neededNumber(child, 'addressOffset');
    const properties = propertiesOf(child, outer);
    const register = child.name === 'register' ? readRegister(child, target.derivation, properties) : undefined;
    const weight = 1 + (register?.fields.reduce((sum, { values }) => sum + 1 + values.length, 0) ?? 0);
    for (const { name, distance } of repeated(child)) {
      target.entries += weight;
      if (target.entries > MAX_ENTRIES)
        throw new ImportProblem(`${pathOf(child)}: the peripheral has more than ${MAX_ENTRIES} entries`, child.line);
      const whole = prefix + name;
      if (register === undefined) readChildren(child, target, properties, `${whole}_`, offset + distance);
      else target.registers.push({ ...register, name: whole, offset: offset + distance });
    }
  }
}

/** Without its place: an element with `dim` has several. */
function readRegister(
  element: XmlElement,
  derivation: Derivation,
  { size, access, reset, resetMask }: Properties,
): Omit<DescribedRegister, 'name' | 'offset'> {
  if (size < 1 || size > 64)
    throw new ImportProblem(`${pathOf(element)}: it has ${size} bits, and a register has 1 to 64`, element.line);
  const kind = accessOf(element, access === undefined ? {} : { access });
  const fields = readFields(element, kind, derivation);
  const outside = fields.find(({ bits: [, high] }) => high >= size);
  if (outside !== undefined)
    throw new ImportProblem(
      `${pathOf(element)}: field ${outside.name} has bit ${outside.bits[1]}, and the register ${size} bits`,
      element.line,
    );
  return {
    width: size,
    access: registerAccess(kind, access, fields),
    meaning: meaningOf(element) + (fields.length === 0 ? accessNote(kind) : ''),
    reset,
    resetMask: resetMask ?? 2n ** 64n - 1n,
    isVolatile: /^(set|modify|modifyExternal)$/.test(kind.reads ?? '') || kind.writes === 'modify',
    fields: fields.length > 0 ? fields : wholeField(kind, size),
  };
}

/** What is written of the register itself, else what its fields allow. */
function registerAccess(
  { access }: SvdAccess,
  inherited: string | undefined,
  fields: readonly DescribedField[],
): 'r' | 'w' | 'rw' {
  const isSilent = inherited === undefined && fields.length > 0;
  if (isSilent && fields.every((field) => field.access === 'r' || field.access === 'rc')) return 'r';
  if (isSilent && fields.every((field) => field.access === 'w')) return 'w';
  return access === 'read-only' ? 'r' : access === 'write-only' || access === 'writeOnce' ? 'w' : 'rw';
}

/** A register without fields whose access says more than `r`, `w` and `rw` has one field. */
function wholeField(kind: SvdAccess, size: number): readonly DescribedField[] {
  const access = fieldAccess(kind);
  if (access === 'r' || access === 'w' || access === undefined) return [];
  return [{ bits: [0, size - 1], name: 'VALUE', meaning: 'all bits', access, values: [] }];
}

function propertiesOf(element: XmlElement, outer: Properties): Properties {
  return {
    size: numberOf(element, 'size') ?? outer.size,
    access: textOf(element, 'access') ?? outer.access,
    reset: bigOf(element, 'resetValue') ?? outer.reset,
    resetMask: bigOf(element, 'resetMask') ?? outer.resetMask,
  };
}
