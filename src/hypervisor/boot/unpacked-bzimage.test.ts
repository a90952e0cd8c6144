import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { HALTED_FOREVER } from '../vcpu-loop.js';
import { imm32, TestMachine } from '../v86/fixtures/test-machine.js';
import type { VcpuRegisters } from '../vcpu-registers.js';
import { branchyBytes, bzImage, elf, XZ_X86 } from './fixtures/kernel-images.js';
import { loadGuestImage } from './guest-image.js';
import { ImageReader } from './image-reader.js';
import { flatGdt, flatRegisters } from './low-memory.js';
import { readSetupHeader } from './setup-header.js';
import { UNPACKED_LAYOUT, unpackedBzImage } from './unpacked-bzimage.js';
import { crc32 } from './xz-container.js';

const KIB = 1024;
const MIB = KIB * KIB;
const MEMORY_BYTES = 4 * MIB;
const START = await readFile(new URL('../../../guests/kernel-start.bin', import.meta.url));
const PACKED = new ImageReader('bzImage', bzImage(XZ_X86, 3000));
const SETUP_BYTES = 1024;
const BOOT_PARAMS = 0x1_0000;
const SCRATCH = BOOT_PARAMS + 0x1e4;
const GDT = 0x1_2000;
const PORT = 0xe9;

interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly memoryBytes: number;
}

/** Reports ESI and what has to be 0, with the direction flag in it, and halts. */
const GUEST = [
  ...[0x89, 0xf0, 0xe7, PORT],
  // ebx | ebp | edi
  ...[0x09, 0xeb, 0x09, 0xfb, 0x89, 0xd8, 0xe7, PORT],
  // pushfd with a stack of its own: mov esp, 0x7000; pushfd; pop eax; and eax, 0x400
  ...[0xbc, ...imm32(0x7000), 0x9c, 0x58, 0x25, ...imm32(0x400), 0xe7, PORT],
  0xf4,
];

/** A kernel at `at`: code and data with a gap between them, and memory behind, of odd sizes. */
function kernelAt(at: number, bytes = 200 * KIB + 3): readonly Segment[] {
  const code = branchyBytes(bytes);
  code.set(GUEST, 64);
  const data = branchyBytes(5001).reverse();
  return [
    { address: at + bytes + 4091, bytes: data, memoryBytes: data.length + 9002 },
    { address: at, bytes: code, memoryBytes: code.length + 33 },
  ];
}

function elfOf(segments: readonly Segment[], entry: number): Uint8Array<ArrayBuffer> {
  const headersBytes = 52 + 32 * segments.length;
  const bytes = new Uint8Array(segments.reduce((end, segment) => end + segment.bytes.length, headersBytes));
  bytes.set(elf(84).subarray(0, 52));
  const view = new DataView(bytes.buffer);
  view.setUint32(24, entry, true);
  view.setUint16(44, segments.length, true);
  let offset = headersBytes;
  segments.forEach(({ address, bytes: content, memoryBytes }, index) => {
    const header = 52 + 32 * index;
    [1, offset, address, address, content.length, memoryBytes].forEach((value, field) =>
      view.setUint32(header + 4 * field, value, true),
    );
    bytes.set(content, offset);
    offset += content.length;
  });
  return bytes;
}

const unpacked = (kernel: Uint8Array): Uint8Array<ArrayBuffer> =>
  unpackedBzImage(PACKED, new ImageReader('vmlinux', kernel), START);

/** Runs the image at `address`, in memory that has 0xa5 everywhere else. */
async function runAt(address: number, segments: readonly Segment[]): Promise<TestMachine> {
  const machine = await TestMachine.create({ memoryBytes: MEMORY_BYTES });
  machine.memory.fill(0xa5, 0, MEMORY_BYTES);
  const image = unpacked(elfOf(segments, entryOf(segments)));
  machine.memory.write(address, image.subarray(SETUP_BYTES));
  machine.memory.write(GDT, flatGdt(GDT).bytes);
  // The boot protocol gives no stack.
  run(machine, { ...flatRegisters(GDT), esp: 0, ip: address, esi: BOOT_PARAMS });
  return machine;
}

function run(machine: TestMachine, registers: VcpuRegisters): void {
  machine.core.start(registers);
  assert.equal(machine.runUntilHalted(2, 2000), HALTED_FOREVER);
}

function entryOf(segments: readonly Segment[]): number {
  return Math.min(...segments.map(({ address }) => address)) + 64;
}

/** The memory from the lowest address to the highest, 0 where the file has nothing. */
function expectedMemory(segments: readonly Segment[]): Uint8Array {
  const start = Math.min(...segments.map(({ address }) => address));
  const end = Math.max(...segments.map(({ address, memoryBytes }) => address + memoryBytes));
  const bytes = new Uint8Array(end - start);
  for (const segment of segments) bytes.set(segment.bytes, segment.address - start);
  return bytes;
}

/** deepEqual would describe all differences of long arrays, which takes minutes. */
function assertMemory({ memory }: TestMachine, address: number, expected: Uint8Array): void {
  const bytes = memory.read(address, expected.length);
  assert.equal(
    bytes.findIndex((byte, index) => byte !== expected[index]),
    -1,
    'first byte that differs',
  );
}

const PLACES = [
  ['below the kernel, apart from it', -300 * KIB],
  ['below it, overlapping by more than half', -100 * KIB],
  ['below it, overlapping in all but some bytes', -4],
  ['at its place', 0],
  ['at its place behind a setup of 40 sectors', 0x5000],
  ['where the bytes that move are at their place already', -START.length],
  ['above it, overlapping', 100 * KIB],
  ['above it, and ending behind its memory', 210 * KIB],
  ['above it, apart from it', 400 * KIB],
  ['at an odd address', 4097],
] as const;

describe('an image that is loaded', () => {
  const at = 2 * MIB;
  const segments = kernelAt(at);
  const expected = expectedMemory(segments);
  const imageBytes = unpacked(elfOf(segments, entryOf(segments))).length - SETUP_BYTES;

  for (const [where, distance] of PLACES)
    test(`${where}: moves its kernel, clears its memory and enters it`, async () => {
      const machine = await runAt(at + distance, segments);
      assertMemory(machine, at, expected);
      assert.deepEqual(machine.accesses, [`out e9/4 ${BOOT_PARAMS.toString(16)}`, 'out e9/4 0', 'out e9/4 0']);
    });

  test('changes no memory but that of the image, the kernel, the copy of its start and a word of boot_params', async () => {
    for (const [, distance] of PLACES) {
      const { memory } = await runAt(at + distance, segments);
      const low = Math.min(at, at + distance);
      const end = Math.max(at + expected.length, at + distance + imageBytes);
      const isUntouched = (from: number, to: number): boolean =>
        memory.read(from, to - from).every((byte) => byte === 0xa5);
      assert.ok(isUntouched(Math.ceil(end / 16) * 16 + START.length, MEMORY_BYTES), `behind, at ${distance}`);
      assert.ok(isUntouched(GDT + 64, low), `before, at ${distance}`);
      assert.ok(isUntouched(0x7000, SCRATCH) && isUntouched(SCRATCH + 4, GDT), `boot_params, at ${distance}`);
    }
  });
});

test("upcall's own loader boots it", async () => {
  const segments = kernelAt(MIB + 123 * KIB);
  const machine = await TestMachine.create({ memoryBytes: MEMORY_BYTES });
  machine.memory.fill(0xa5, 0, MEMORY_BYTES);
  const image = unpacked(elfOf(segments, entryOf(segments)));
  const registers = await loadGuestImage(machine.memory, { image });
  assert.equal(registers.ip, MIB);
  run(machine, registers);
  const expected = expectedMemory(segments);
  assertMemory(machine, MIB + 123 * KIB, expected);
  assert.equal(machine.accesses[0], `out e9/4 ${(registers.esi ?? 0).toString(16)}`);
});

test('A segment without a byte in the file is cleared, also below the others', async () => {
  const [data, code] = kernelAt(2 * MIB) as [Segment, Segment];
  const bss = { address: 2 * MIB - 8192, bytes: new Uint8Array(0), memoryBytes: 5000 };
  const machine = await TestMachine.create({ memoryBytes: MEMORY_BYTES });
  machine.memory.fill(0xa5, 0, MEMORY_BYTES);
  const image = unpacked(elfOf([bss, code, data], entryOf([code])));
  run(machine, await loadGuestImage(machine.memory, { image }));
  const expected = expectedMemory([bss, code, data]);
  assertMemory(machine, 2 * MIB - 8192, expected);
});

test('The setup header describes a kernel that is neither packed nor relocatable', () => {
  const segments = kernelAt(2 * MIB);
  const image = unpacked(elfOf(segments, entryOf(segments)));
  const header = readSetupHeader(new ImageReader('image', image));
  assert.equal(header.protocol, 0x020c);
  assert.equal(header.payload, undefined);
  assert.equal(header.preferredAddress, 2 * MIB);
  assert.equal(header.protectedModeOffset, SETUP_BYTES);
  assert.equal(header.is64Bit, false);
  assert.equal(header.loadedHigh, true);
  const view = new DataView(image.buffer);
  assert.equal(view.getUint8(0x234), 0);
  assert.equal(view.getUint32(0x1f4, true) * 16, image.length - SETUP_BYTES);
  assert.equal(view.getUint16(0x236), 0);
  assert.deepEqual(image.subarray(0x250, 0x258), new Uint8Array(8));
  assert.deepEqual([view.getUint32(0x25c), view.getUint32(0x264)], [0, 0]);
  // Room for the kernel, and for the whole file at its place, each with the copy of the start.
  assert.ok(header.initSize >= expectedMemory(segments).length + START.length);
  assert.ok(header.initSize >= image.length + START.length && header.initSize < image.length + 64 * KIB);
});

test('It is neither an EFI program nor relocatable, though the packed one is', () => {
  const packed = Uint8Array.from(PACKED.bytes);
  packed.set([0x4d, 0x5a], 0);
  packed.set([0x40, 0, 0, 0], 0x3c);
  packed.set([0x04, 0], 0x236);
  packed.set([1, 2, 3, 4], 0x264);
  packed[0x234] = 1;
  const kernel = new ImageReader('vmlinux', elf(4096));
  const image = unpackedBzImage(new ImageReader('bzImage', packed), kernel, START);
  for (const [at, length] of [
    [0, 2],
    [0x3c, 4],
    [0x234, 1],
    [0x236, 2],
    [0x264, 4],
  ] as const)
    assert.deepEqual(image.subarray(at, at + length), new Uint8Array(length), `at ${at}`);
});

test('A real-mode part whose length is not given has four sectors behind its first', () => {
  const packed = new Uint8Array(8192);
  packed.set(PACKED.bytes);
  packed[0x1f1] = 0;
  const image = unpackedBzImage(new ImageReader('bzImage', packed), new ImageReader('vmlinux', elf(4096)), START);
  assert.equal(image[0x1f1], 4);
  assert.deepEqual(image.subarray(2560, 2560 + 16), Uint8Array.from(START.subarray(0, 16)));
});

test('The checksum over the whole file leaves no remainder', () => {
  assert.equal(~crc32(unpacked(elf(4097))) >>> 0, 0);
});

test('Other bytes for the same files have another number, for they are cached', () => {
  const hash = createHash('sha256')
    .update(unpacked(elf(4096)))
    .digest('hex');
  assert.deepEqual([UNPACKED_LAYOUT, hash.slice(0, 16)], [1, '5e2b161421c9c905']);
});

describe('refused:', () => {
  const change = (edit: (view: DataView) => void): Uint8Array => {
    const bytes = elf(4096);
    edit(new DataView(bytes.buffer));
    return bytes;
  };
  const two = (distance: number): Uint8Array => {
    const bytes = new Uint8Array(16);
    return elfOf(
      [0, distance].map((more) => ({ address: MIB + more, bytes, memoryBytes: 16 })),
      MIB,
    );
  };
  for (const [what, kernel, code, message] of [
    ['a truncated ELF', elf(4096).subarray(0, 4000), 'IMAGE_MALFORMED', /missing/],
    ['no ELF', new Uint8Array(100), 'IMAGE_MALFORMED', /not a 32-bit ELF/],
    ['an ELF for another processor', change((view) => view.setUint16(18, 40, true)), 'IMAGE_UNSUPPORTED', /./],
    ['an entry in no segment', change((view) => view.setUint32(24, 64, true)), 'IMAGE_MALFORMED', /in no segment/],
    ['segments that overlap', two(15), 'IMAGE_MALFORMED', /segment 1 overlaps segment 0/],
    ['segments more than 256 MiB apart', two(256 * MIB), 'IMAGE_MALFORMED', /from 0x100000 to 0x10100010/],
    [
      'a segment that ends above 4 GiB',
      elfOf([{ address: 0xffff_f000, bytes: new Uint8Array(16), memoryBytes: 0x1000 }], 0xffff_f000),
      'IMAGE_MALFORMED',
      /to 0x100000000/,
    ],
  ] as const)
    test(what, () => assert.throws(() => unpacked(kernel), { code, message }));

  test('but not segments that touch', () => assert.ok(unpacked(two(16)).length > 32));

  test('a bzImage whose header lacks fields', () => {
    const old = Uint8Array.from(PACKED.bytes);
    old[0x206] = 0x0b;
    const kernel = new ImageReader('vmlinux', elf(4096));
    assert.throws(() => unpackedBzImage(new ImageReader('bzImage', old), kernel, START), { code: 'IMAGE_MALFORMED' });
    old[0x206] = 0x0c;
    assert.ok(unpackedBzImage(new ImageReader('bzImage', old), kernel, START).length > 4096);
  });
});
