import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { acpiTables } from './acpi-tables.js';
import { ImageReader } from './image-reader.js';
import { mpTable } from './mp-table.js';

const FOLDER = new URL('../../../guests/acpi/', import.meta.url);
const ACPI = acpiTables(await readFile(new URL('dsdt.aml', FOLDER)));
const MP = mpTable();
const ADDRESS = 0xf_0000;

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
}

const text = (reader: ImageReader, offset: number, length: number) =>
  new TextDecoder().decode(reader.slice(offset, length));
const pointer = new ImageReader('pointer', MP.bytes.subarray(0, 16));
const block = new ImageReader('MP table', MP.bytes);
const tableAt = pointer.u32(4) - MP.address;
const table = new ImageReader('table', block.slice(tableAt, block.u16(tableAt + 4)));

/** The entries by type: a processor's has 20 bytes, the others have 8. */
function entries(type: number): ImageReader[] {
  const found: ImageReader[] = [];
  let at = 44;
  for (let index = 0; index < table.u16(34); index++) {
    const length = table.u8(at) === 0 ? 20 : 8;
    if (table.u8(at) === type) found.push(new ImageReader('entry', table.slice(at, length)));
    at += length;
  }
  assert.equal(at, table.length);
  return found;
}

/** The entries of a type in the MADT. */
function madtEntries(type: number): ImageReader[] {
  const acpi = new ImageReader('ACPI tables', ACPI.bytes);
  const at = (address: number) => new ImageReader('table', acpi.bytes.subarray(address - ACPI.address));
  const xsdt = at(acpi.u32(24));
  const madt = at(xsdt.u32(44));
  const found: ImageReader[] = [];
  for (let offset = 44; offset < madt.u32(4); offset += madt.u8(offset + 1))
    if (madt.u8(offset) === type) found.push(new ImageReader('entry', madt.slice(offset, madt.u8(offset + 1))));
  return found;
}

interface Interrupt {
  readonly type: number;
  readonly flags: number;
  readonly bus: number;
  readonly source: number;
  readonly apic: number;
  readonly pin: number;
}

const interrupts = (type: number): Interrupt[] =>
  entries(type).map((entry) => ({
    type: entry.u8(1),
    flags: entry.u16(2),
    bus: entry.u8(4),
    source: entry.u8(5),
    apic: entry.u8(6),
    pin: entry.u8(7),
  }));

test('The pointer lies where systems search for it, and leads to the table; both checksums are right', () => {
  assert.equal(MP.address, ADDRESS);
  assert.equal(text(pointer, 0, 4), '_MP_');
  assert.deepEqual([pointer.u8(8), pointer.u8(9)], [1, 4]);
  assert.equal(sum(pointer.bytes), 0);
  assert.equal(text(table, 0, 4), 'PCMP');
  assert.equal(table.u8(6), 4);
  assert.equal(sum(table.bytes), 0);
  assert.ok(MP.address + MP.bytes.length <= 0x10_0000);
});

test('There is a table, and no register that switches the 8259s away', () => {
  assert.deepEqual([pointer.u8(11), pointer.u8(12)], [0, 0]);
});

test('Processor, local APIC and IO-APIC are those of the MADT', () => {
  const [processor, ...others] = entries(0);
  const [madtProcessor] = madtEntries(0);
  assert.equal(others.length, 0);
  assert.equal(processor?.u8(1), madtProcessor?.u8(3));
  assert.equal(processor?.u8(3), 3, 'enabled, bootstrap');
  assert.equal(table.u32(36), 0xfee0_0000);
  const ioApics = entries(2).map((entry) => [entry.u8(1), entry.u8(3), entry.u32(4)]);
  assert.deepEqual(
    ioApics,
    madtEntries(1).map((entry) => [entry.u8(2), 1, entry.u32(4)]),
  );
  assert.notEqual(ioApics[0]?.[0], processor.u8(1), 'identifiers are unique');
});

test('Sixteen processors are enabled, the first starts, and interrupts go to the I/O APIC’s identifier', () => {
  const { bytes } = mpTable(16);
  const large = new ImageReader('table', bytes.subarray(16));
  assert.equal(sum(large.bytes), 0);
  const processors = Array.from({ length: 16 }, (_, id) => [...large.slice(44 + 20 * id, 4)]);
  assert.deepEqual(
    processors,
    processors.map((_, id) => [0, id, 0x14, id === 0 ? 3 : 1]),
  );
  const others = 44 + 20 * 16;
  assert.deepEqual([large.u16(34), large.length], [table.u16(34) + 15, table.length + 15 * 20]);
  const rest = Array.from({ length: large.u16(34) - 16 }, (_, index) => large.slice(others + 8 * index, 8));
  const ioApics = rest.flatMap((entry) => (entry[0] === 2 ? [entry[1]] : entry[0] === 3 ? [entry[6]] : []));
  assert.deepEqual([...new Set(ioApics)], [16]);
});

test('ISA interrupts are those of the MADT: pins of their own numbers, active high edges but for its overrides', () => {
  const overrides = new Map(madtEntries(2).map((entry) => [entry.u8(3), { pin: entry.u32(4), flags: entry.u16(8) }]));
  const isa = interrupts(3).filter(({ bus }) => bus === 1);
  assert.deepEqual(
    isa.map(({ source }) => source),
    [0, 1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15],
  );
  for (const { type, flags, source, apic, pin } of isa) {
    const { pin: expectedPin, flags: expectedFlags } = overrides.get(source) ?? { pin: source, flags: 0 };
    assert.deepEqual([type, flags, apic, pin], [0, expectedFlags, 1, expectedPin], `interrupt ${source}`);
  }
});

test('PCI interrupts are those of the DSDT, active high levels', async () => {
  const source = await readFile(new URL('dsdt.asl', FOLDER), 'utf8');
  const routes = [...source.matchAll(/Package \(\) \{ 0x([0-9A-F]{4})FFFF, (\d), LNK([AB]), 0 \}/g)];
  assert.equal(routes.length, 128);
  const pci = interrupts(3).filter(({ bus }) => bus === 0);
  assert.deepEqual(
    pci.map(({ source: from, pin, flags }) => [from, pin, flags]),
    routes.map(([, slot = '', pin = '', link]) => [
      Number.parseInt(slot, 16) * 4 + Number(pin),
      link === 'A' ? 10 : 11,
      0xd,
    ]),
  );
});

test('The buses are PCI bus 0 and ISA', () => {
  assert.deepEqual(
    entries(1).map((entry) => [entry.u8(1), text(entry, 2, 6)]),
    [
      [0, 'PCI   '],
      [1, 'ISA   '],
    ],
  );
});

test('The 8259s arrive at LINT0, NMI at LINT1', () => {
  assert.deepEqual(
    interrupts(4).map(({ type, apic, pin }) => [type, apic, pin]),
    [
      [3, 0, 0],
      [1, 0xff, 1],
    ],
  );
});
