import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { UpcallError } from '../../io-request/upcall-error.js';
import { GuestMemory } from '../guest-memory.js';
import { MAX_UNPACKED_BYTES } from './compression.js';
import { bzImage, elf, multibootKludge, PACKED_ELF_BYTES, XZ_X86, ZSTD } from './fixtures/kernel-images.js';
import { detectKind, IMAGE_KINDS, loadGuestImage, prepareGuestImage } from './guest-image.js';

const MIB = 0x10_0000;
const BZ_IMAGE = bzImage(XZ_X86, PACKED_ELF_BYTES);

function memory(byteLength = 4 * MIB): GuestMemory {
  return new GuestMemory({ buffer: new SharedArrayBuffer(byteLength), byteOffset: 0, byteLength });
}

test('The kind of an image shows in its content', () => {
  assert.equal(detectKind(BZ_IMAGE), 'linux');
  assert.equal(detectKind(multibootKludge()), 'multiboot');
  assert.equal(detectKind(elf(4096)), 'elf');
  assert.equal(detectKind(Uint8Array.of(0xf4)), 'real');
});

test('A given kind overrides the kind of the content', async () => {
  const image = multibootKludge();
  assert.equal((await prepareGuestImage({ image })).kind, 'multiboot');
  const registers = await loadGuestImage(memory(), { image, kind: 'flat-32', address: 0x20_0000 });
  assert.equal(registers.ip, 0x20_0000);
});

test('An image that is packed as a whole is unpacked first', async () => {
  for (const image of [gzipSync(elf(PACKED_ELF_BYTES)), XZ_X86, ZSTD]) {
    const ram = memory();
    const registers = await loadGuestImage(ram, { image });
    assert.equal(registers.ip, MIB + 84);
    assert.deepEqual(ram.read(MIB, PACKED_ELF_BYTES), elf(PACKED_ELF_BYTES));
  }
  assert.equal((await prepareGuestImage({ image: gzipSync(multibootKludge()) })).kind, 'multiboot');
});

test('A packed image may unpack to 256 MiB, and not to one byte more', async () => {
  const packed = (bytes: number) => gzipSync(new Uint8Array(bytes), { level: 1 });
  assert.equal((await prepareGuestImage({ image: packed(MAX_UNPACKED_BYTES) })).kind, 'real');
  await assert.rejects(prepareGuestImage({ image: packed(MAX_UNPACKED_BYTES + 1) }), { code: 'IMAGE_TOO_LARGE' });
});

test('A damaged packed image is malformed', async () => {
  const image = gzipSync(elf(PACKED_ELF_BYTES)).subarray(0, 100);
  await assert.rejects(prepareGuestImage({ image }), { code: 'IMAGE_MALFORMED' });
});

test('Parts that a guest would never see are refused with what to use', async () => {
  const modules = [{ bytes: Uint8Array.of(1), text: '' }];
  const initrd = Uint8Array.of(1);
  for (const image of [BZ_IMAGE, elf(400)])
    await assert.rejects(prepareGuestImage({ image, modules }), { code: 'OPTION_INVALID', remedy: /--initrd/ });
  for (const kind of ['real', 'flat-32'] as const) {
    await assert.rejects(prepareGuestImage({ image: Uint8Array.of(0xf4), kind, modules }), { code: 'OPTION_INVALID' });
    await assert.rejects(prepareGuestImage({ image: Uint8Array.of(0xf4), kind, initrd }), { code: 'OPTION_INVALID' });
    await assert.rejects(prepareGuestImage({ image: Uint8Array.of(0xf4), kind, cmdline: 'quiet' }), {
      code: 'OPTION_INVALID',
      remedy: /--cmdline/,
    });
    await prepareGuestImage({ image: Uint8Array.of(0xf4), kind, cmdline: '' });
  }
  const { kind } = await prepareGuestImage({ image: BZ_IMAGE, modules: [], initrd });
  assert.equal(kind, 'linux');
});

test('The initrd of a multiboot kernel is its first module', async () => {
  const ram = memory();
  const modules = [{ bytes: Uint8Array.of(2), text: 'second' }];
  const { ebx = 0 } = await loadGuestImage(ram, { image: multibootKludge(), initrd: Uint8Array.of(1), modules });
  const strings = [0, 1].map((index) => {
    const at = ram.readU32(ram.readU32(ebx + 24) + 16 * index + 8);
    return new TextDecoder().decode(ram.read(at, 6));
  });
  assert.equal(ram.readU32(ebx + 20), 2);
  assert.deepEqual(strings, ['initrd', 'second']);
});

test('A Linux kernel is unpacked before it is loaded, and entered at its own entry', async () => {
  const registers = await loadGuestImage(memory(), { image: BZ_IMAGE, cmdline: 'quiet' });
  assert.equal(registers.ip, MIB + 84);
});

test('A kernel that was unpacked before is taken as it is', async () => {
  const vmlinux = elf(4096, 2 * MIB);
  assert.equal((await loadGuestImage(memory(), { image: BZ_IMAGE, vmlinux })).ip, 2 * MIB + 84);
});

test('An image can be loaded again after a reset', async () => {
  const ram = memory();
  const image = await prepareGuestImage({ image: BZ_IMAGE, initrd: Uint8Array.of(1, 2, 3) });
  const first = image.load(ram);
  const written = ram.read(0, ram.size);
  ram.fill(0);
  assert.deepEqual(image.load(ram), first);
  assert.deepEqual(ram.read(0, ram.size), written);
});

test('An image can be checked against a size of memory before there is any', async () => {
  const image = await prepareGuestImage({ image: BZ_IMAGE });
  assert.throws(() => image.check(2 * MIB), { code: 'IMAGE_TOO_LARGE' });
  image.check(3 * MIB);
});

test('Pieces that lie over each other are refused before anything is written', async () => {
  const ram = memory();
  // The stack of tables at 0xE0000 and an image there.
  const dsdt = Uint8Array.from({ length: 36 }, (_, index) => 'DSDT'.charCodeAt(index) || 0);
  dsdt[9] = -dsdt.reduce((total, byte) => total + byte, 0) & 0xff;
  const image = { image: Uint8Array.of(1), kind: 'flat-32', address: 0xe_0000, dsdt } as const;
  await assert.rejects(loadGuestImage(ram, image), /overlaps/);
  assert.ok(ram.read(0, ram.size).every((byte) => byte === 0));
});

test("Whatever the bytes, each loader loads them or refuses them as the operator's error", async () => {
  const seeds = [BZ_IMAGE, bzImage(ZSTD, PACKED_ELF_BYTES), multibootKludge(), elf(400)];
  const edits = fc.array(fc.tuple(fc.nat({ max: 1100 }), fc.nat({ max: 255 })), { maxLength: 12 });
  const changed = fc.tuple(fc.constantFrom(...seeds), edits, fc.nat({ max: 4000 })).map(([seed, changes, length]) => {
    const bytes = Uint8Array.from(seed.subarray(0, Math.max(0, seed.length - (length % 7 === 0 ? length : 0))));
    for (const [offset, value] of changes) if (offset < bytes.length) bytes[offset] = value;
    return bytes;
  });
  const ram = memory();
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(changed, fc.uint8Array({ maxLength: 700 })),
      fc.constantFrom(...IMAGE_KINDS),
      async (image, kind) => {
        try {
          const registers = await loadGuestImage(ram, { image, kind, initrd: image, cmdline: 'x' });
          assert.ok(registers.ip >= 0 && registers.ip <= 0xffff_ffff);
        } catch (error) {
          if (!(error instanceof UpcallError)) throw error;
        }
      },
    ),
    { numRuns: 400 },
  );
});
