import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory } from '../guest-memory.js';
import { elf, multibootKludge } from './fixtures/kernel-images.js';
import { ImageReader } from './image-reader.js';
import { loadPlan } from './load-plan.js';
import { findMultibootHeader, planMultiboot } from './multiboot.js';

const MIB = 0x10_0000;
const MEMORY_BYTES = 8 * MIB;

function memory(byteLength = MEMORY_BYTES): GuestMemory {
  return new GuestMemory({ buffer: new SharedArrayBuffer(byteLength), byteOffset: 0, byteLength });
}

function plan(image: Uint8Array, commandLine = '', module?: Uint8Array) {
  return planMultiboot(new ImageReader('multiboot image', image), { memoryBytes: MEMORY_BYTES, commandLine, module });
}

/** The ELF with a multiboot header behind its headers. */
function multibootElf(flags = 0): Uint8Array {
  const bytes = elf(4096);
  const view = new DataView(bytes.buffer);
  [0x1bad_b002, flags, -(0x1bad_b002 + flags)].forEach((value, index) => view.setUint32(84 + 4 * index, value, true));
  return bytes;
}

function text(ram: GuestMemory, address: number): string {
  const bytes = ram.read(address, 64);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

test('The address fields of the header place the image, and its bss is zeroed', () => {
  const ram = memory();
  ram.fill(0xff, MIB, 0x2000);
  const registers = loadPlan(plan(multibootKludge()), ram);
  assert.equal(registers.ip, MIB + 48);
  assert.equal(ram.readU8(MIB + 48), 0xf4);
  assert.equal(ram.readU8(MIB + 64), 0);
  assert.equal(ram.readU8(MIB + 0xfff), 0);
  assert.equal(ram.readU8(MIB + 0x1000), 0xff);
});

test('An ELF is loaded by its segments', () => {
  const ram = memory();
  const image = multibootElf();
  assert.equal(loadPlan(plan(image), ram).ip, MIB + 84);
  assert.deepEqual(ram.read(MIB, image.length), Uint8Array.from(image));
});

test('The guest finds memory sizes, the memory map, its command line and the name of the loader', () => {
  const ram = memory();
  const registers = loadPlan(plan(multibootKludge(), 'look=around'), ram);
  assert.equal(registers.eax, 0x2bad_b002);
  const info = registers.ebx ?? 0;
  const field = (offset: number): number => ram.readU32(info + offset);
  assert.equal(field(0), 0b10_0100_0101);
  assert.equal(field(4), 639);
  assert.equal(field(8), (MEMORY_BYTES - MIB) / 1024);
  assert.equal(text(ram, field(16)), 'look=around');
  assert.equal(text(ram, field(64)), 'upcall');
  const ranges: number[][] = [];
  for (let at = field(48); at < field(48) + field(44); at += ram.readU32(at) + 4)
    ranges.push([ram.readU32(at + 4), ram.readU32(at + 12), ram.readU32(at + 20)]);
  assert.deepEqual(ranges.at(-1), [MIB, MEMORY_BYTES - MIB, 1]);
  assert.deepEqual(ranges[0], [0, 0x9_fc00, 1]);
});

test('An initrd becomes a page-aligned module behind the kernel', () => {
  const ram = memory();
  const registers = loadPlan(plan(multibootKludge(), 'x', Uint8Array.of(1, 2, 3)), ram);
  const info = registers.ebx ?? 0;
  assert.equal(ram.readU32(info + 20), 1);
  const entry = ram.readU32(info + 24);
  const start = ram.readU32(entry);
  assert.equal(start % 4096, 0);
  assert.equal(ram.readU32(entry + 4), start + 3);
  assert.deepEqual([...ram.read(start, 3)], [1, 2, 3]);
});

test('The header is found only in the first 8 KiB, aligned, with a right checksum', () => {
  const at = (offset: number, change = 0): number | undefined => {
    const bytes = new Uint8Array(16384);
    bytes.set(multibootKludge().subarray(4, 40), offset);
    bytes[offset + 8] = (bytes[offset + 8] ?? 0) + change;
    return findMultibootHeader(new ImageReader('image', bytes));
  };
  assert.equal(at(8180), 8180);
  assert.equal(at(8184), undefined);
  assert.equal(at(6), undefined);
  assert.equal(at(8, 1), undefined);
});

test('A kernel that requires a video mode or an unknown feature is refused', () => {
  assert.throws(() => plan(multibootElf(1 << 2)), /video mode/);
  assert.throws(() => plan(multibootElf(1 << 5)), { code: 'IMAGE_MALFORMED' });
});

test('A kernel linked over the information structure is refused, and one beyond the memory as well', () => {
  const low = elf(4096, 0x1_0000);
  low.set(multibootElf().subarray(84, 96), 84);
  assert.throws(() => loadPlan(plan(low), memory()), /overlaps multiboot information/);
  const high = elf(4096, 0x7ff_f000);
  high.set(multibootElf().subarray(84, 96), 84);
  assert.throws(() => plan(high), { code: 'IMAGE_TOO_LARGE', remedy: 'Give --memory 128 or more' });
});
