import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { IMAGE_LIMITS, prepareImage, readImage } from './image-file.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-image-'));
after(() => rmSync(folder, { recursive: true }));

test('an image file larger than any guest is refused by its size', async () => {
  const file = join(folder, 'disk.img');
  writeFileSync(file, '');
  truncateSync(file, IMAGE_LIMITS.fileBytes + 1);
  const refusal = { code: 'IMAGE_TOO_LARGE', message: `${file} has more than 2048 MiB`, remedy: /not a disk image/ };
  await assert.rejects(readImage(file), refusal);
  await assert.rejects(prepareImage({ image: file }, { memoryBytes: 2 ** 20, vcpuCount: 1 }), refusal);
});

test('a stream is refused when it exceeds its limit', { skip: process.platform !== 'linux' }, async () => {
  const limits = { ...IMAGE_LIMITS, streamBytes: 2 ** 21 };
  await assert.rejects(readImage('/dev/zero', limits), {
    code: 'IMAGE_TOO_LARGE',
    message: '/dev/zero has more than 2 MiB',
    remedy: 'Give a file, or a pipe that ends before',
  });
});

test('a file that is missing names its reason', async () => {
  await assert.rejects(readImage(join(folder, 'none')), { code: 'IMAGE_NOT_FOUND', message: /none \(ENOENT\)$/ });
});

for (const [what, image, remedy] of [
  ['bytes alone', new Uint8Array(3), 'Write image: { image: bytes }'],
  ['an object without bytes', { file: 'guest.bin' }, 'Give image as a Uint8Array in it'],
  ['null', null, 'Give image as a Uint8Array in it'],
] as const)
  test(`an image given as ${what} is refused`, async () => {
    await assert.rejects(prepareImage({ image: image as never }, { memoryBytes: 2 ** 20, vcpuCount: 1 }), {
      code: 'OPTION_INVALID',
      message: 'image: expected the name of a file, or an object with its bytes',
      remedy,
    });
  });
