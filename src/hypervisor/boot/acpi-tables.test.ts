import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFile } from 'node:fs/promises';
import { PCI_ECAM_ADDRESS } from '../../device-model/devices/pci/pci-ecam.js';
import { acpiTables } from './acpi-tables.js';
import { ImageReader } from './image-reader.js';

const DSDT = await readFile(new URL('../../../guests/acpi/dsdt.aml', import.meta.url));
const BLOCK = acpiTables(DSDT);

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
}

/** The table at a guest physical address. */
function table(address: number): ImageReader {
  const block = new ImageReader('ACPI tables', BLOCK.bytes);
  const offset = address - BLOCK.address;
  return new ImageReader('table', block.slice(offset, block.u32(offset + 4)));
}

const signature = (reader: ImageReader) => new TextDecoder().decode(reader.slice(0, 4));
const rsdp = new ImageReader('RSDP', BLOCK.bytes.subarray(0, 36));
const xsdt = table(rsdp.u32(24));
const fadt = table(xsdt.u32(36));
const madt = table(xsdt.u32(44));
const mcfg = table(xsdt.u32(52));

test('The root pointer lies where systems search for it, and both of its checksums are right', () => {
  assert.equal(BLOCK.address, 0xe_0000);
  assert.equal(new TextDecoder().decode(rsdp.slice(0, 8)), 'RSD PTR ');
  assert.equal(sum(rsdp.slice(0, 20)), 0);
  assert.equal(sum(rsdp.slice(0, 36)), 0);
});

test('RSDT and XSDT point to the same tables', () => {
  const rsdt = table(rsdp.u32(16));
  assert.equal(signature(rsdt), 'RSDT');
  assert.equal(signature(xsdt), 'XSDT');
  assert.deepEqual([rsdt.u32(36), rsdt.u32(40), rsdt.u32(44)], [xsdt.u32(36), xsdt.u32(44), xsdt.u32(52)]);
  assert.deepEqual([rsdt.length, xsdt.length], [48, 60]);
  assert.equal(sum(rsdt.bytes) + sum(xsdt.bytes), 0);
});

test('The FADT has the ports of the power management, and no reduced hardware', () => {
  assert.equal(signature(fadt), 'FACP');
  assert.equal(sum(fadt.bytes), 0);
  assert.equal(fadt.u16(46), 9);
  assert.deepEqual([fadt.u32(48), fadt.u8(52), fadt.u8(53)], [0xb2, 0xa0, 0xa1]);
  assert.deepEqual([fadt.u32(56), fadt.u8(88)], [0x400, 4]);
  assert.deepEqual([fadt.u32(64), fadt.u8(89)], [0x404, 2]);
  assert.deepEqual([fadt.u32(76), fadt.u8(91)], [0x408, 4]);
  assert.deepEqual([fadt.u8(116), fadt.u8(117), fadt.u32(120), fadt.u8(128)], [1, 8, 0xcf9, 6]);
  const flags = fadt.u32(112);
  assert.equal(flags & (1 << 10), 1 << 10, 'reset register');
  assert.equal(flags & (1 << 8), 1 << 8, '32-bit timer');
  assert.equal(flags & (1 << 20), 0, 'hardware reduced');
});

test('The FADT leads to an aligned FACS and to the DSDT', () => {
  const facs = table(fadt.u32(36));
  assert.equal(signature(facs), 'FACS');
  assert.equal(fadt.u32(36) % 64, 0);
  assert.deepEqual(Uint8Array.from(table(fadt.u32(40)).bytes), Uint8Array.from(DSDT));
  assert.equal(fadt.u32(132), fadt.u32(36));
  assert.equal(fadt.u32(140), fadt.u32(40));
});

test('The MADT has one processor, one IO-APIC, and the SCI as an active high level', () => {
  assert.equal(signature(madt), 'APIC');
  assert.equal(sum(madt.bytes), 0);
  assert.equal(madt.u32(36), 0xfee0_0000);
  const entries: Uint8Array[] = [];
  for (let at = 44; at < madt.length; at += madt.u8(at + 1)) entries.push(madt.slice(at, madt.u8(at + 1)));
  assert.deepEqual(
    entries.map((entry) => entry[0]),
    [0, 1, 2],
  );
  assert.equal(entries[0]?.[4], 1);
  assert.equal(new ImageReader('entry', entries[1] ?? BLOCK.bytes).u32(4), 0xfec0_0000);
  assert.deepEqual([...(entries[2] ?? [])], [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0]);
});

test('The MADT has as many enabled processors as the VM, and the I/O APIC another identifier', () => {
  const { bytes, address } = acpiTables(DSDT, 16);
  const block = new ImageReader('ACPI tables', bytes);
  const at = block.u32(block.u32(24) - address + 44) - address;
  const large = new ImageReader('MADT', block.slice(at, block.u32(at + 4)));
  assert.equal(sum(large.bytes), 0);
  const processors = Array.from({ length: 16 }, (_, id) => [...large.slice(44 + 8 * id, 8)]);
  assert.deepEqual(
    processors,
    processors.map((_, id) => [0, 8, id, id, 1, 0, 0, 0]),
  );
  assert.deepEqual([...large.slice(44 + 8 * 16, 3)], [1, 12, 16]);
});

test('The MCFG has configuration space of bus 0 where the device model has it', () => {
  assert.equal(signature(mcfg), 'MCFG');
  assert.equal(sum(mcfg.bytes), 0);
  assert.equal(mcfg.length, 60);
  assert.deepEqual(
    [mcfg.u32(44), mcfg.u32(48), mcfg.u16(52), mcfg.u8(54), mcfg.u8(55)],
    [PCI_ECAM_ADDRESS, 0, 0, 0, 0],
  );
});

test('A DSDT that was truncated or changed is refused', () => {
  assert.throws(() => acpiTables(DSDT.subarray(0, 100)), { code: 'IMAGE_MALFORMED' });
  assert.throws(() => acpiTables(new Uint8Array(0)), { code: 'IMAGE_MALFORMED' });
});

test('A DSDT too large for the room below 1 MiB is refused', () => {
  const large = new Uint8Array(0x2_0000);
  large.set(new TextEncoder().encode('DSDT'));
  large[9] = -sum(large) & 0xff;
  assert.throws(() => acpiTables(large), { code: 'IMAGE_TOO_LARGE' });
});
