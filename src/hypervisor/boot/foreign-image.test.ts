import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { FOREIGN_FILES } from './fixtures/foreign-images.js';
import { bzImage, elf, multibootKludge, XZ_X86 } from './fixtures/kernel-images.js';
import { foreignImage } from './foreign-image.js';
import { detectKind, prepareGuestImage } from './guest-image.js';
import { ImageReader } from './image-reader.js';

for (const { name, bytes, message, remedy } of FOREIGN_FILES) {
  test(`${name} is refused with the reason and the remedy`, async () => {
    await assert.rejects(prepareGuestImage({ image: bytes }), (error: unknown) => {
      assert.ok(error instanceof UpcallError);
      assert.equal(error.code, 'IMAGE_UNSUPPORTED');
      assert.match(error.message, message);
      assert.match(error.remedy ?? '', remedy);
      assert.doesNotMatch(error.describe(), /\n|\.\./);
      return true;
    });
  });

  test(`${name} is run as a flat image if its operator insists`, async () => {
    for (const kind of ['real', 'flat-32'] as const)
      assert.equal((await prepareGuestImage({ image: bytes, kind })).kind, kind);
  });
}

test('Images of the kinds that run here are not taken for foreign ones', () => {
  for (const image of [bzImage(XZ_X86, 3000), multibootKludge(), elf(400)])
    assert.equal(foreignImage(new ImageReader('image', image)), undefined);
});

test('A flat program is not taken for a file', () => {
  const bootSector = new Uint8Array(512).fill(0x90);
  bootSector.set([0x55, 0xaa], 510);
  const letters = Uint8Array.from('PQRSTUVWXYZ', (text) => text.charCodeAt(0));
  const withByte = (byte: number) =>
    Uint8Array.from('_'.repeat(100) + String.fromCharCode(byte), (c) => c.charCodeAt(0));
  for (const image of [bootSector, letters, withByte(0), withByte(0x1b), withByte(0xf4)])
    assert.equal(detectKind(image), 'real');
});

test('A character that is cut off where looking ends does not make a text a program', () => {
  const text = new TextEncoder().encode(`${'x'.repeat(4095)}ä and more`);
  assert.throws(() => detectKind(text), /^UpcallError: a text file/);
});

test('A Multiboot 2 header is one in the first 32 KiB, aligned, with a right checksum', () => {
  const refused = (offset: number, checksum = -(0xe852_50d6 + 24)) => {
    const bytes = new Uint8Array(0x1_0000);
    const view = new DataView(bytes.buffer);
    [0xe852_50d6, 0, 24, checksum].forEach((word, index) => view.setUint32(offset + 4 * index, word, true));
    return foreignImage(new ImageReader('image', bytes)) !== undefined;
  };
  assert.deepEqual([refused(0), refused(32752)], [true, true]);
  assert.deepEqual([refused(4), refused(32760), refused(0, 1)], [false, false, false]);
});

test('A boot sector with sectors behind it is a disk only if its partition table is plausible', () => {
  const image = (entry: readonly number[]) => {
    const bytes = new Uint8Array(1024);
    bytes.set(entry, 446);
    bytes.set([0x55, 0xaa], 510);
    return bytes;
  };
  assert.equal(detectKind(image([])), 'real');
  assert.equal(detectKind(image([0x12, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 1])), 'real');
  assert.equal(detectKind(image([0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0])), 'real');
  assert.throws(() => detectKind(image([0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 1])), /disk image/);
});
