import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readElf32 } from './elf32.js';
import { elf } from './fixtures/kernel-images.js';
import { ImageReader } from './image-reader.js';

/** `elf(400)`, whose only segment has `fileBytes` at `offset` of the file and 4096 in memory. */
function elfWith({ offset, fileBytes }: { readonly offset: number; readonly fileBytes: number }): ImageReader {
  const bytes = elf(400);
  const view = new DataView(bytes.buffer);
  view.setUint32(56, offset, true);
  view.setUint32(68, fileBytes, true);
  view.setUint32(72, 4096, true);
  return new ImageReader('ELF image', bytes);
}

test('A segment of bss alone has no place in the file, wherever its offset points', () => {
  for (const offset of [0, 400, 401, 0x20_0000, 0xffff_f000]) {
    const [segment] = readElf32(elfWith({ offset, fileBytes: 0 })).segments;
    assert.deepEqual([segment?.bytes.length, segment?.length], [0, 4096]);
  }
});

test('The bytes of a segment lie within the file, up to its last one', () => {
  assert.equal(readElf32(elfWith({ offset: 390, fileBytes: 10 })).segments[0]?.bytes.length, 10);
  for (const place of [
    { offset: 390, fileBytes: 11 },
    { offset: 401, fileBytes: 1 },
  ])
    assert.throws(() => readElf32(elfWith(place)), { code: 'IMAGE_MALFORMED' });
});
