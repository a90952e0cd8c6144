import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { UpcallError } from '../../io-request/upcall-error.js';
import { MAX_UNPACKED_BYTES } from './compression.js';
import {
  bzImage,
  elf,
  PACKED_ELF_BYTES,
  PLAIN_XZ_BYTES,
  XZ_PLAIN,
  XZ_TWO_BLOCKS,
  XZ_X86,
  ZSTD,
} from './fixtures/kernel-images.js';
import { ImageReader } from './image-reader.js';
import { unpackKernel } from './kernel-payload.js';

const KERNEL = elf(PACKED_ELF_BYTES);
const unpack = (image: Uint8Array) => unpackKernel(new ImageReader('bzImage', image));
const hasCode = (code: string) => (error: unknown) => error instanceof UpcallError && error.code === code;

test('A kernel packed with gzip, xz with the x86 filter, or zstd unpacks to the same ELF', async () => {
  const gzip = bzImage(gzipSync(KERNEL), KERNEL.length, false);
  for (const image of [gzip, bzImage(XZ_X86, KERNEL.length), bzImage(ZSTD, KERNEL.length)])
    assert.deepEqual((await unpack(image))?.bytes, KERNEL);
});

test('An xz file without the x86 filter unpacks too', async () => {
  const reader = await unpack(bzImage(XZ_PLAIN, PLAIN_XZ_BYTES));
  assert.deepEqual(reader?.bytes, KERNEL.subarray(0, PLAIN_XZ_BYTES));
});

test('An unknown compression leaves the bzImage as it is', async () => {
  assert.equal(await unpack(bzImage(Uint8Array.of(0x02, 0x21, 0x4c, 0x18, 0, 0, 0, 0), 100)), undefined);
});

test('A 64-bit kernel is refused: it cannot be entered in 32-bit mode', async () => {
  const kernel64 = Uint8Array.from(KERNEL);
  kernel64[4] = 2;
  kernel64[18] = 62;
  await assert.rejects(unpack(bzImage(gzipSync(kernel64), kernel64.length, false)), {
    code: 'IMAGE_UNSUPPORTED',
    message: /the kernel in it is a 64-bit ELF for x86-64/,
  });
});

test('A damaged payload is a malformed image, in every format', async () => {
  for (const packed of [gzipSync(KERNEL), XZ_X86, ZSTD]) {
    const damaged = Uint8Array.from(packed);
    damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 0x55;
    const image = bzImage(damaged, KERNEL.length, packed === XZ_X86 || packed === ZSTD);
    await assert.rejects(unpack(image), hasCode('IMAGE_MALFORMED'));
  }
});

test('A truncated xz payload is a malformed image, and the next one still unpacks', async () => {
  await assert.rejects(unpack(bzImage(XZ_PLAIN.subarray(0, 200), PLAIN_XZ_BYTES)), hasCode('IMAGE_MALFORMED'));
  assert.equal((await unpack(bzImage(XZ_X86, KERNEL.length)))?.length, KERNEL.length);
});

test('A payload that unpacks to more or to less than its header gives is a malformed image', async () => {
  for (const packed of [XZ_X86, ZSTD])
    for (const size of [KERNEL.length - 1, KERNEL.length + 1])
      await assert.rejects(unpack(bzImage(packed, size)), hasCode('IMAGE_MALFORMED'));
});

test('A payload whose header exceeds the limit is refused before anything is allocated', async () => {
  await assert.rejects(unpack(bzImage(XZ_X86, MAX_UNPACKED_BYTES + 1)), hasCode('IMAGE_TOO_LARGE'));
});

test('A zstd frame with a window beyond the limit is refused', async () => {
  // Descriptor 0: no single segment, so a window descriptor follows; 0x90 means 2 ** 28 bytes.
  const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x90, 1, 0, 0);
  await assert.rejects(unpack(bzImage(frame, 100)), /window of 268435456 bytes/);
});

test('An xz file of several blocks stays packed', async () => {
  assert.equal(await unpack(bzImage(XZ_TWO_BLOCKS, PLAIN_XZ_BYTES)), undefined);
});
