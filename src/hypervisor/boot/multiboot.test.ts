import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory } from '../guest-memory.js';
import { elf, multibootKludge } from './fixtures/kernel-images.js';
import { ImageReader } from './image-reader.js';
import { loadPlan } from './load-plan.js';
import { findMultibootHeader, MAX_MODULES, planMultiboot, type MultibootOptions } from './multiboot.js';

const MIB = 0x10_0000;
const MEMORY_BYTES = 8 * MIB;

function memory(byteLength = MEMORY_BYTES): GuestMemory {
  return new GuestMemory({ buffer: new SharedArrayBuffer(byteLength), byteOffset: 0, byteLength });
}

function plan(
  image: Uint8Array,
  { commandLine = '', modules = [], memoryBytes = MEMORY_BYTES }: Partial<MultibootOptions> = {},
) {
  return planMultiboot(new ImageReader('multiboot image', image), { memoryBytes, commandLine, modules });
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
  const registers = loadPlan(plan(multibootKludge(), { commandLine: 'look=around' }), ram);
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

/** The module list of a loaded kernel: what lies there, and its string. */
function moduleList(ram: GuestMemory, info: number): { start: number; bytes: number[]; string: string }[] {
  return Array.from({ length: ram.readU32(info + 20) }, (_, index) => {
    const entry = ram.readU32(info + 24) + 16 * index;
    const start = ram.readU32(entry);
    const bytes = [...ram.read(start, ram.readU32(entry + 4) - start)];
    return { start, bytes, string: text(ram, ram.readU32(entry + 8)) };
  });
}

test('Modules lie behind the kernel, page-aligned and in their order, each with a string of its own', () => {
  const ram = memory();
  const modules = [
    { bytes: Uint8Array.of(1, 2, 3), text: 'first --flag' },
    { bytes: new Uint8Array(0), text: '' },
    { bytes: new Uint8Array(5000).fill(7), text: 'third' },
  ];
  const registers = loadPlan(plan(multibootKludge(), { commandLine: 'x', modules }), ram);
  const info = registers.ebx ?? 0;
  assert.equal(ram.readU32(info) & (1 << 3), 1 << 3);
  const found = moduleList(ram, info);
  assert.deepEqual(
    found.map(({ bytes, string }) => ({ bytes, string })),
    modules.map(({ bytes, text: string }) => ({ bytes: [...bytes], string })),
  );
  assert.deepEqual(
    found.map(({ start }) => start),
    [MIB + 0x1000, MIB + 0x2000, MIB + 0x2000],
  );
});

test('A kernel has at most 128 modules, whose strings also lie above 1 MiB if they must', () => {
  const modules = (count: number, length = 1) =>
    Array.from({ length: count }, (_, index) => ({ bytes: Uint8Array.of(index), text: 'x'.repeat(length) }));
  const memoryBytes = 16 * MIB;
  const ram = memory(memoryBytes);
  const registers = loadPlan(plan(multibootKludge(), { modules: modules(MAX_MODULES, 0xefff), memoryBytes }), ram);
  const found = moduleList(ram, registers.ebx ?? 0);
  assert.deepEqual(
    found.map(({ bytes }) => bytes),
    modules(MAX_MODULES).map(({ bytes }) => [...bytes]),
  );
  const strings = new Set(
    found.map((_, index) => ram.readU32(ram.readU32((registers.ebx ?? 0) + 24) + 16 * index + 8)),
  );
  assert.equal(strings.size, MAX_MODULES);
  assert.ok([...strings].some((address) => address > MIB));
  assert.throws(() => plan(multibootKludge(), { modules: modules(MAX_MODULES + 1) }), {
    code: 'OPTION_INVALID',
    remedy: 'Give at most 128',
  });
});

test('The command line and a string have at most 61439 bytes', () => {
  const longest = 'x'.repeat(0xefff);
  plan(multibootKludge(), { commandLine: longest, modules: [{ bytes: Uint8Array.of(1), text: longest }] });
  assert.throws(() => plan(multibootKludge(), { commandLine: `${longest}x` }), {
    code: 'OPTION_INVALID',
    message: 'the command line has 61440 bytes',
    remedy: 'Give at most 61439',
  });
  const modules = [
    { bytes: Uint8Array.of(1), text: '' },
    { bytes: Uint8Array.of(1), text: `${longest}x` },
  ];
  assert.throws(() => plan(multibootKludge(), { modules }), { message: 'the string of module 1 has 61440 bytes' });
});

test('Modules fill the memory to its last byte, and one byte more needs more memory', () => {
  const module = (bytes: number) => [{ bytes: new Uint8Array(bytes), text: '' }];
  const room = MEMORY_BYTES - MIB - 0x1000;
  loadPlan(plan(multibootKludge(), { modules: module(room) }), memory());
  assert.throws(() => plan(multibootKludge(), { modules: module(room + 1) }), {
    code: 'IMAGE_TOO_LARGE',
    message: /with its modules needs 9 MiB/,
    remedy: 'Give --memory 9 or more',
  });
});

/** A kernel of `length` bytes at `address`, and the pieces beside it. */
function beside(address: number, length: number, commandLine = '') {
  const image = elf(length, address);
  image.set(multibootElf().subarray(84, 96), 84);
  const loaded = plan(image, { commandLine });
  return { ...loaded, others: loaded.pieces.filter(({ what }) => !what.startsWith('segment')) };
}

test('What the loader adds goes where the kernel leaves room, also below 1 MiB', () => {
  for (const [address, length] of [
    [0x1_0000, 4096],
    [0x9000, 0x8000],
    [0x500, 0x9_f000],
    [0x1000, 0x9_ec00],
  ] as const) {
    const { registers, others } = beside(address, length);
    loadPlan(beside(address, length), memory());
    const stack = registers.esp ?? 0;
    for (const start of [...others.map((piece) => piece.address), stack - 1])
      assert.ok(start < address || start >= address + length, `0x${start.toString(16)} in 0x${address.toString(16)}`);
  }
});

test('The loader leaves the interrupt vectors, the BIOS data areas and the screen memory alone', () => {
  for (const { pieces } of [beside(MIB, 4096, 'x'.repeat(0xefff)), beside(0x1_0000, 0x8_fc00)])
    for (const { address, bytes } of pieces)
      assert.ok(address >= MIB || (address >= 0x1000 && address + bytes.length <= 0x9_fc00), address.toString(16));
});

test('A kernel that leaves no room is refused with the memory that would do', () => {
  const memoryBytes = 2 * MIB;
  const image = elf(memoryBytes - 0x1000, 0x1000);
  image.set(multibootElf().subarray(84, 96), 84);
  assert.throws(() => plan(image, { memoryBytes }), { code: 'IMAGE_TOO_LARGE', remedy: 'Give --memory 3 or more' });
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

test('A kernel beyond the memory is refused', () => {
  const high = elf(4096, 0x7ff_f000);
  high.set(multibootElf().subarray(84, 96), 84);
  assert.throws(() => plan(high), { code: 'IMAGE_TOO_LARGE', remedy: 'Give --memory 128 or more' });
});
