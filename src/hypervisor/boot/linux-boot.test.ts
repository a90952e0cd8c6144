import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory } from '../guest-memory.js';
import type { VcpuRegisters } from '../vcpu-registers.js';
import { bzImage, elf, XZ_X86 } from './fixtures/kernel-images.js';
import { ImageReader } from './image-reader.js';
import { planBzImage, planVmlinux, type LinuxOptions } from './linux-boot.js';
import { loadPlan, type LoadPlan } from './load-plan.js';
import { readSetupHeader } from './setup-header.js';

const MIB = 0x10_0000;
const MEMORY_BYTES = 16 * MIB;
const IMAGE = new ImageReader('bzImage', bzImage(XZ_X86, 3000));
const OPTIONS: LinuxOptions = { memoryBytes: MEMORY_BYTES, commandLine: 'console=ttyS0', acpi: false };

function load(plan: LoadPlan): { ram: GuestMemory; registers: VcpuRegisters; zeroPage: number } {
  const handle = { buffer: new SharedArrayBuffer(MEMORY_BYTES), byteOffset: 0, byteLength: MEMORY_BYTES };
  const ram = new GuestMemory(handle);
  const registers = loadPlan(plan, ram);
  return { ram, registers, zeroPage: registers.esi ?? 0 };
}

test('A bzImage runs its protected-mode part at 1 MiB with the selectors of the boot protocol', () => {
  const { ram, registers } = load(planBzImage(IMAGE, OPTIONS));
  assert.equal(registers.ip, MIB);
  assert.equal(registers.cs.selector, 0x10);
  assert.equal(registers.ds.selector, 0x18);
  assert.deepEqual(ram.read(MIB, IMAGE.length - 1024), Uint8Array.from(IMAGE.bytes.subarray(1024)));
  const base = registers.gdt?.base ?? 0;
  assert.deepEqual([...ram.read(base + 0x18, 8)], [0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0]);
});

test('The zero page has the setup header, the loader, the command line and the memory map', () => {
  const { ram, zeroPage } = load(planBzImage(IMAGE, OPTIONS));
  assert.equal(ram.readU32(zeroPage + 0x202), 0x5372_6448);
  assert.equal(ram.readU16(zeroPage + 0x206), 0x020f);
  assert.equal(ram.readU8(zeroPage + 0x210), 0xff);
  assert.equal(ram.readU8(zeroPage + 0x211) & 1, 1);
  const commandLine = ram.read(ram.readU32(zeroPage + 0x228), 14);
  assert.equal(new TextDecoder().decode(commandLine), 'console=ttyS0\0');
  const entries = ram.readU8(zeroPage + 0x1e8);
  const last = zeroPage + 0x2d0 + 20 * (entries - 1);
  assert.deepEqual([ram.readU32(last), ram.readU32(last + 8), ram.readU32(last + 16)], [MIB, MEMORY_BYTES - MIB, 1]);
  assert.equal(ram.readU32(zeroPage + 0x218), 0);
  assert.equal(ram.readU32(zeroPage + 0x070), 0);
});

test('The initrd lies at the top of the memory, page-aligned', () => {
  const initrd = new Uint8Array(5000).fill(7);
  const { ram, zeroPage } = load(planBzImage(IMAGE, { ...OPTIONS, initrd }));
  const address = ram.readU32(zeroPage + 0x218);
  assert.equal(address, MEMORY_BYTES - 8192);
  assert.equal(ram.readU32(zeroPage + 0x21c), 5000);
  assert.deepEqual(ram.read(address, 5000), initrd);
});

test('An unpacked kernel is entered at its ELF entry, with its setup header or without', () => {
  const vmlinux = new ImageReader('vmlinux', elf(4096, 2 * MIB));
  for (const header of [readSetupHeader(IMAGE), undefined]) {
    const { ram, registers, zeroPage } = load(planVmlinux(vmlinux, header, OPTIONS));
    assert.equal(registers.ip, 2 * MIB + 84);
    assert.equal(ram.readU32(zeroPage + 0x202), 0x5372_6448);
    assert.equal(ram.readU32(2 * MIB), 0x464c_457f);
  }
});

test('An entry that is physical already stays as it is, though the segments have virtual addresses', () => {
  const bytes = elf(4096, 2 * MIB);
  new DataView(bytes.buffer).setUint32(60, 0xc020_0000, true);
  const { registers } = load(planVmlinux(new ImageReader('vmlinux', bytes), undefined, OPTIONS));
  assert.equal(registers.ip, 2 * MIB + 84);
});

test('With ACPI tables the zero page points to them', () => {
  const { ram, zeroPage } = load(planBzImage(IMAGE, { ...OPTIONS, acpi: true }));
  assert.equal(ram.readU32(zeroPage + 0x070), 0xe_0000);
});

test('The memory that a kernel needs to unpack itself counts as its size', () => {
  const plan = () => planBzImage(IMAGE, { ...OPTIONS, memoryBytes: 2 * MIB });
  assert.throws(plan, { code: 'IMAGE_TOO_LARGE', remedy: 'Give --memory 3 or more' });
});

test('An initrd that leaves the kernel no room asks for more memory, and that is enough', () => {
  const initrd = new Uint8Array(3 * MIB);
  const plan = (mebibytes: number) => planBzImage(IMAGE, { ...OPTIONS, initrd, memoryBytes: mebibytes * MIB });
  assert.throws(() => plan(4), { code: 'IMAGE_TOO_LARGE', remedy: 'Give --memory 7 or more' });
  assert.equal(plan(7).registers.ip, MIB);
});

test('A command line longer than the kernel takes is refused with the limit', () => {
  const plan = (length: number) => planBzImage(IMAGE, { ...OPTIONS, commandLine: 'x'.repeat(length) });
  assert.throws(() => plan(256), { code: 'OPTION_INVALID', remedy: 'Give at most 255' });
  assert.equal(plan(255).registers.ip, MIB);
});

test('A zImage and an ancient boot protocol are refused', () => {
  const change = (offset: number, value: number): ImageReader => {
    const bytes = Uint8Array.from(IMAGE.bytes);
    bytes[offset] = value;
    return new ImageReader('bzImage', bytes);
  };
  assert.throws(() => planBzImage(change(0x211, 0), OPTIONS), /zImage/);
  assert.throws(() => planBzImage(change(0x207, 1), OPTIONS), /boot protocol 0x10f/);
});
